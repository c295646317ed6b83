/** What the paths to the peers carry, and whether that is too little (docs/mtu.md). */
import { type Finding, ok, warning } from '../doctor/finding.ts';
import type { MeshStatus } from './mesh-status.ts';

/** What IPv6 asks of every link (RFC 8200 § 5). */
const LEAST_MTU = 1_280;

export function diagnosePaths({ peers, mtu }: Pick<MeshStatus, 'peers' | 'mtu'>): Finding[] {
  const narrow = peers.filter((peer) => peer.mtu !== null && peer.mtu < LEAST_MTU);
  if (narrow.length > 0) {
    return narrow.map((peer) =>
      warning(
        'path-mtu',
        `The path to ${peer.connector} carries packets of at most ${peer.mtu} bytes, less than the ${LEAST_MTU} that IPv6 asks of a link: all gets through, but IPv6 packets above that leave in fragments, which some firewalls drop. Raise the MTU of the narrow link on the way there.`,
      ),
    );
  }
  const below = peers.filter((peer) => peer.mtu !== null && peer.mtu < mtu);
  const said = below.map((peer) => `${peer.connector} ${peer.mtu}`).join(', ');
  return [ok('path-mtu', said === '' ? `None is below ${mtu}.` : `Of ${mtu}: ${said}.`)];
}
