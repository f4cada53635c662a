/**
 * How Node is started for every process of Saccade. A larger young generation: records, pixels and their wrappers die young,
 * and with the default of 16 MB many are moved on before they do, and are then collected at the price of the whole heap.
 */
export const nodeFlags = ['--max-semi-space-size=32'];
