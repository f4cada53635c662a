/** Resolves with true when something was installed. Rejects when npm fails. */
export function ensureInstalled(root: string, say: (line: string) => void): Promise<boolean>;
