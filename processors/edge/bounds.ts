/** How limits are written in the configurations of the sockets. */
import { z } from 'zod';

export const mib = 1024 * 1024;
export const ms = (fallback: number) => z.number().int().min(1).default(fallback);
export const count = (fallback: number) => z.number().int().positive().default(fallback);
