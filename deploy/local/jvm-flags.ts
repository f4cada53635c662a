/** Flags for a small JVM beside the pipeline: quick to start, few threads; the first compiler is good enough for copying bytes. */
export const jvmFlags = (heapMegabytes: number): string[] => [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  `-Xmx${heapMegabytes}m`,
  '-XX:+ExitOnOutOfMemoryError',
  '-Djava.awt.headless=true',
];
