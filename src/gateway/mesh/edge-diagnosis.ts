/** What is wrong between a gateway and its edges, in sentences that say what to do. Pure. */
import type { MeshStatus } from './mesh-status.ts';

/** A handshake is repeated after two minutes when there is traffic; an edge is always kept alive. */
const EDGE_SILENT = 180_000;

/**
 * Codes that say: the edge knows nobody by this credential. An edge limits the failures of an address,
 * and lets who has a valid credential through all the same (edge/api/authentication.ts).
 */
const UNKNOWN_HERE: ReadonlySet<string> = new Set(['UNAUTHORIZED', 'TOO_MANY_REQUESTS']);

/** @param now milliseconds since the Unix epoch */
export function diagnoseEdges(
  { stream, edges, netmap }: Pick<MeshStatus, 'stream' | 'edges' | 'netmap'>,
  now: number,
): string[] {
  const said: string[] = [];
  if (stream.state === 'connecting') said.push(describeStream(stream, netmap !== null));
  for (const { name, endpoint, lastHandshake } of edges) {
    if (endpoint === null) said.push(`The name of edge ${name}'s relay has no address.`);
    else if (lastHandshake === null) {
      said.push(
        `The relay of edge ${name} has never answered at ${endpoint}: see that UDP to it passes.`,
      );
    } else if (now - Date.parse(lastHandshake) > EDGE_SILENT) {
      said.push(`No handshake with the relay of edge ${name} since ${lastHandshake}.`);
    }
  }
  if (netmap !== null && netmap.refused > 0) {
    said.push(
      `${netmap.refused} netmaps from the edge did not validate and were refused: one of the two may be out of date.`,
    );
  }
  return said;
}

function describeStream({ since, error }: MeshStatus['stream'], hasNetmap: boolean): string {
  const effect = hasNetmap
    ? 'Traffic flows on the last netmap; changes do not arrive.'
    : 'There is no netmap yet, so nothing is reached.';
  if (error !== null && UNKNOWN_HERE.has(error.code)) {
    return `The edge does not know this replica's credential (since ${since}): it lost its registry or runs with an older backup of it, or another host joined with the same WireGuard key. ${effect} What would go through this edge's relay waits. Restore the edge's registry, and this replica goes on by itself; or join anew: \`connector down --forget\`, then \`connector up\` with a new token. [${error.code}]`;
  }
  const remedy =
    error?.code === 'EDGE_UNTRUSTED'
      ? ' If it is that edge, join anew: `connector down --forget`, then `connector up` with a new token.'
      : '';
  const why = error === null ? '' : ` ${error.message}${remedy} [${error.code}]`;
  return `No edge's API has answered since ${since}. ${effect}${why}`;
}
