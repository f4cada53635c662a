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
export function findJavaTools(spare?: string): JavaTools | { readonly missing: string };
/** The jars if they are all on disk already. */
export function jarsOnDisk(spare?: string): Jars | null;
/** The jars, fetched with Maven the first time, into `spare` where the user's cache cannot be written. Safe to call from several processes at once. */
export function fetchJars(tools: JavaTools, say: (line: string) => void, spare?: string): Promise<Jars>;
