import { join } from 'node:path';

/** Where, under Saccade's data folder, the embedded ClickHouse keeps its own. */
export const chdbFolder = (data: string): string => join(data, 'chdb');
