export interface JavaTools {
  readonly java: string;
  readonly maven: string;
}

export interface Jars {
  /** Class path of the Kafka broker. */
  readonly kafka: string;
  /** The schema registry's executable jar. */
  readonly registry: string;
}

/** Java 17+ and Maven, or what is missing in words. */
export function findJavaTools(): JavaTools | { readonly missing: string };
/** The jars if they are all on disk already. */
export function jarsOnDisk(): Jars | null;
/** The jars, fetched with Maven the first time. Safe to call from several processes at once. */
export function fetchJars(tools: JavaTools, say: (line: string) => void): Promise<Jars>;
