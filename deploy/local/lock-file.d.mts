/** Waits until the file is this process's lock, saying so when it has to wait; answers how to release it. */
export function lockFile(file: string, say: (line: string) => void): Promise<() => void>;
