/** What is offered: how often, and what each kind deserves. */

export type Deserved = 'ok' | 'dropped' | 'dead_lettered';

interface Kind {
  /** Of a thousand frames. One in a hundred is poison. */
  readonly perMille: number;
  /** The statuses that an acknowledged frame of the kind may end in; none: it is refused, and must leave no row. */
  readonly deserves: readonly Deserved[];
  readonly via: 'kafka' | 'http';
}

const table = {
  plain: { perMille: 0, deserves: ['ok'], via: 'kafka' },
  avro: { perMille: 80, deserves: ['ok'], via: 'kafka' },
  /** A picture that has been there before, which a cache may answer. */
  same_picture: { perMille: 50, deserves: ['ok'], via: 'kafka' },
  one_model: { perMille: 60, deserves: ['ok'], via: 'kafka' },
  /** Sent a second time although the first was acknowledged, as a producer does whose acknowledgement is lost. */
  sent_twice: { perMille: 30, deserves: ['ok'], via: 'kafka' },
  deadline: { perMille: 50, deserves: ['ok', 'dropped'], via: 'kafka' },
  claim_checked: { perMille: 12, deserves: ['ok'], via: 'kafka' },
  /** A request's frame carries the deadline at which its client stops waiting. */
  request: { perMille: 60, deserves: ['ok', 'dropped'], via: 'http' },
  request_twice: { perMille: 10, deserves: ['ok', 'dropped'], via: 'http' },
  noise: { perMille: 3, deserves: ['dead_lettered'], via: 'kafka' },
  truncated: { perMille: 3, deserves: ['dead_lettered'], via: 'kafka' },
  garbage_avro: { perMille: 3, deserves: ['dead_lettered'], via: 'kafka' },
  request_noise: { perMille: 1, deserves: [], via: 'http' },
  /** Above the image limit. */
  oversize: { perMille: 2, deserves: ['dead_lettered'], via: 'kafka' },
  /** Above the record limit too, in a compressed batch that is under it: its dead letter fits no record, and leaves its bytes beside the log. */
  compressed_oversize: { perMille: 1, deserves: ['dead_lettered'], via: 'kafka' },
  /** Above the log's record limit: the producer is told at once. */
  over_record_limit: { perMille: 1, deserves: [], via: 'kafka' },
} as const satisfies Record<string, Kind>;

export type FrameKind = keyof typeof table;
export const kinds: Readonly<Record<FrameKind, Kind>> = table;
export const kindNames = Object.keys(table) as FrameKind[];
export const isPoison = (kind: FrameKind): boolean => kinds[kind].deserves.length === 1 && kinds[kind].deserves[0] === 'dead_lettered';
