/**
 * How Node is started for every process of Saccade. A larger young generation: records, pixels and their wrappers die young,
 * and with the default of 16 MB many are moved on before they do, and are then collected at the price of the whole heap. It is
 * collected by one thread: those that would help it take the processors from decoding and inferring, and wait for each other.
 *
 * The old generation may double before it is collected. Left to itself V8 lets it grow by what it saw lately: after half a minute
 * without work by a tenth, so that the next requests paid for five collections of the whole heap a second (at 16 connections after
 * 25 s of rest: 175 pictures a second with a p95 of 150 ms, and 212 with 113 ms now).
 */
export const nodeFlags = ['--max-semi-space-size=32', '--no-parallel-scavenge', '--heap-growing-percent=100'];
