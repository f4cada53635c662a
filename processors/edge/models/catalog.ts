/** The models as the edge tells of them. */
import type { Model } from '../../../schemas/model-card.ts';

/** What the card of any version says, also of one whose graph is not at hand. */
export interface CardFacts {
  readonly version: string;
  readonly semantic_version: string;
  readonly task: string;
  readonly precision: string;
  readonly description: string;
  readonly licence: string;
  readonly source: string;
  readonly sha256: string;
  readonly thresholds: { readonly score: number; readonly classes: Readonly<Record<string, number>>; readonly iou: number; readonly top: number };
}

export interface ModelCatalog {
  /** Those that are served, in their order, each as it answers now: version and thresholds. The first answers where none is asked for. */
  served(): readonly Model[];
  /** Whether it is being unloaded: not served any more, and not gone. */
  leaving(name: string): boolean;
  /** Of the repository. Throws invalid_model. */
  versions(name: string): Promise<readonly string[]>;
  /** Throws invalid_model. */
  card(name: string, version: string): Promise<CardFacts>;
}
