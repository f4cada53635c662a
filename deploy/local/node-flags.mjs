/**
 * How Node is started for every process of Saccade. A larger young generation: records, pixels and their wrappers die young,
 * and with the default of 16 MB many are moved on before they do, and are then collected at the price of the whole heap. It is
 * collected by one thread: those that would help it take the processors from decoding and inferring, and wait for each other.
 */
export const nodeFlags = ['--max-semi-space-size=32', '--no-parallel-scavenge'];
