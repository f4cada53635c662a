/** Documents that were found good, which need not be parsed and validated again. Bounded in bytes: whoever may ask decides what is kept. */
import type { DocumentNode } from 'graphql';

/** Longer ones are parsed each time. A parsed document has some hundred bytes for each character. */
const longestText = 8 * 1024;
/** Characters of all texts together. */
const mostText = 64 * 1024;

export interface Documents {
  /** Characters of the texts that are kept. */
  readonly held: number;
  get(text: string): DocumentNode | undefined;
  keep(text: string, document: DocumentNode): void;
}

/** Lets go of what was asked for longest ago. */
export function keptDocuments(): Documents {
  const documents = new Map<string, DocumentNode>();
  let held = 0;
  return {
    get held() {
      return held;
    },
    get(text) {
      const known = documents.get(text);
      // Last again in the order of the map.
      if (known && documents.delete(text)) documents.set(text, known);
      return known;
    },
    keep(text, document) {
      if (text.length > longestText || documents.has(text)) return;
      documents.set(text, document);
      held += text.length;
      for (const [oldest] of documents) {
        if (held <= mostText) break;
        documents.delete(oldest);
        held -= oldest.length;
      }
    },
  };
}
