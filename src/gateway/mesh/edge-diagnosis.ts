/** What is between a gateway and its edges, in sentences that say what to do. Pure. */
import { type Finding, ok, problem, skipped, warning } from '../doctor/finding.ts';
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
): Finding[] {
  return [
    stream.state === 'connecting'
      ? describeStream(stream, netmap !== null)
      : ok('api', `${stream.url ?? 'It'} answers.`),
    ...describeRelays(edges, now),
    netmap !== null && netmap.refused > 0
      ? problem(
          'netmap',
          `${netmap.refused} netmaps from the edge did not validate and were refused: one of the two may be out of date.`,
        )
      : ok('netmap', netmap === null ? 'None yet.' : `Revision ${netmap.revision} is in force.`),
  ];
}

function describeRelays(edges: MeshStatus['edges'], now: number): Finding[] {
  if (edges.length === 0) return [skipped('relay', 'No edge is known yet.')];
  return edges.map(({ name, endpoint, lastHandshake }) => {
    if (endpoint === null) {
      return problem('relay', `The name of edge ${name}'s relay has no address.`);
    }
    if (lastHandshake === null) {
      const text = `The relay of edge ${name} has never answered at ${endpoint}: see that UDP to it passes.`;
      return problem('relay', text);
    }
    if (now - Date.parse(lastHandshake) > EDGE_SILENT) {
      return problem(
        'relay',
        `No handshake with the relay of edge ${name} since ${lastHandshake}.`,
      );
    }
    const seconds = Math.max(0, Math.round((now - Date.parse(lastHandshake)) / 1_000));
    return ok('relay', `Edge ${name} answered at ${endpoint}, ${seconds} s ago.`);
  });
}

function describeStream({ since, error }: MeshStatus['stream'], hasNetmap: boolean): Finding {
  const effect = hasNetmap
    ? 'The last netmap stays in force, and traffic flows where its path does; changes do not arrive.'
    : 'There is no netmap yet, so nothing is reached.';
  const say = hasNetmap ? warning : problem;
  if (error !== null && UNKNOWN_HERE.has(error.code)) {
    return problem(
      'api',
      `The edge does not know this replica's credential (since ${since}): it lost its registry or runs with an older backup of it, or another host joined with the same WireGuard key. ${effect} What would go through this edge's relay waits. Restore the edge's registry, and this replica goes on by itself; or join anew: \`connector down --forget\`, then \`connector up\` with a new token. [${error.code}]`,
    );
  }
  const remedy =
    error?.code === 'EDGE_UNTRUSTED'
      ? ' If it is that edge, join anew: `connector down --forget`, then `connector up` with a new token.'
      : '';
  const why = error === null ? '' : ` ${error.message}${remedy} [${error.code}]`;
  return say('api', `No edge's API has answered since ${since}. ${effect}${why}`);
}
