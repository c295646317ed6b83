/** The kernel's check of sources, rp_filter (RFC 3704; 1 = strict, 2 = loose), as it holds for an interface. */
import { readFile } from 'node:fs/promises';

/** The larger of the interface's and that of all (ip-sysctl, `conf/interface/rp_filter`). */
export async function reversePathMode(device: string): Promise<number> {
  const values = await Promise.all(
    [device, 'all'].map(async (name) => {
      const path = `/proc/sys/net/ipv4/conf/${name}/rp_filter`;
      return Number((await readFile(path, 'utf8').catch(() => '0')).trim());
    }),
  );
  return Math.max(...values);
}
