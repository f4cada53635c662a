/** What a session is of: said when it is opened, and the same each time its client comes back. */
import type { Opening } from './protocol.ts';

export interface About {
  readonly tenant: string;
  readonly session: string;
  readonly source: string;
  readonly model: string;
  readonly policy: Opening['policy'];
  /** The highest sequence whose outcome the client has from another edge; -1: none. */
  readonly acknowledged: number;
}
