import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * Processors this process may use: the affinity mask's count, less where a container's quota allows less (Node 20 does not
 * look there, and one thread for each core of a large host would fight over half a core). At least 1.
 */
export function usableCpus(root = '/sys/fs/cgroup'): number {
  const quota = cgroupQuota(root);
  return Math.max(1, Math.min(availableParallelism(), quota === null ? Infinity : Math.ceil(quota)));
}

/** Processors' worth of time by cgroup v2 or v1; null when there is no limit or no cgroup. */
function cgroupQuota(root: string): number | null {
  const [quota, period] =
    read(`${root}/cpu.max`)?.split(' ') ?? [read(`${root}/cpu/cpu.cfs_quota_us`), read(`${root}/cpu/cpu.cfs_period_us`)];
  const share = Number(quota) / Number(period);
  return share > 0 && Number.isFinite(share) ? share : null;
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null;
  }
}
