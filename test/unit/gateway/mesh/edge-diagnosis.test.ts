/** What `connector status` says of a gateway and its edges. */
import { expect, test } from 'vitest';
import { faultsOf, sentenceOf } from '../../../../src/gateway/doctor/finding.ts';
import { diagnoseEdges } from '../../../../src/gateway/mesh/edge-diagnosis.ts';
import type { MeshStatus } from '../../../../src/gateway/mesh/mesh-status.ts';

const SINCE = '2026-01-01T00:00:00.000Z';
const NOW = Date.parse(SINCE);
const CACHED = { revision: 4, source: 'cache', refused: 0 } as const;

function said(status: Parameters<typeof diagnoseEdges>[0]): string[] {
  return faultsOf(diagnoseEdges(status, NOW)).map(sentenceOf);
}

function connecting(error: MeshStatus['stream']['error']): MeshStatus['stream'] {
  return { state: 'connecting', since: SINCE, url: null, error };
}

test('all is well', () => {
  const stream = { state: 'open', since: SINCE, url: 'https://edge', error: null } as const;
  expect(said({ stream, edges: [], netmap: CACHED })).toEqual([]);
});

test.each(['UNAUTHORIZED', 'TOO_MANY_REQUESTS'])(
  'an edge that does not know us (%s): traffic goes on, and what to do',
  (code) => {
    const stream = connecting({ code, message: 'Because.' });
    const [first, ...more] = said({ stream, edges: [], netmap: CACHED });
    expect(more).toEqual([]);
    expect(first).toContain("The edge does not know this replica's credential");
    expect(first).toContain('traffic flows where its path does');
    expect(first).toContain("Restore the edge's registry");
    expect(first).toContain('`connector down --forget`');
    expect(first).toContain(`[${code}]`);
  },
);

test('an edge with another key: how to join it anew, which a token alone does not', () => {
  const stream = connecting({ code: 'EDGE_UNTRUSTED', message: 'Another key.' });
  const [first] = said({ stream, edges: [], netmap: CACHED });
  expect(first).toMatch(/Another key\. .*`connector down --forget`.* \[EDGE_UNTRUSTED\]$/);
});

test('an edge that does not answer', () => {
  const stream = connecting({ code: 'EDGE_UNREACHABLE', message: 'Nobody there.' });
  expect(said({ stream, edges: [], netmap: null })).toEqual([
    `No edge's API has answered since ${SINCE}. There is no netmap yet, so nothing is reached. Nobody there. [EDGE_UNREACHABLE]`,
  ]);
});
