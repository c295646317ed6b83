/** Whether the kernel's table of connections has room: without it, the first packet of one is dropped. Pure. */
import { type Finding, fixable, ok, problem, skipped, warning } from './finding.ts';
import type { HostFacts } from './host-facts.ts';

/** The share of the table that is worth a word. */
const NEARLY_FULL = 0.9;

export function checkConnections({ connections }: HostFacts): Finding {
  if (connections === undefined) return skipped('conntrack', 'The kernel tracks no connections.');
  const { count, most } = connections;
  const says = `${count} of at most ${most} connections`;
  if (most === 0 || count < most * NEARLY_FULL) return ok('conntrack', `${says}.`);
  const full = count >= most;
  const text = `The kernel tracks ${says}: ${full ? 'packets of new ones are dropped' : 'when it is full, new ones are dropped'}. A larger table costs about 300 bytes each.`;
  const name = 'net.netfilter.nf_conntrack_max';
  const fix = {
    command: ['sysctl', '-w', `${name}=${most * 2}`],
    undo: ['sysctl', '-w', `${name}=${most}`],
  };
  return fixable(full ? problem('conntrack', text) : warning('conntrack', text), [fix]);
}
