/** Which runs may carry a relay id, and the source records they get. */
import { describe, expect, it } from 'vitest';
import { keyToHex } from '../../../src/keys.ts';
import { ENDPOINT_RECORD_WORDS, EndpointTable, InboundVector } from '../../../src/vector.ts';
import type { PeerEndpoint } from '../../../src/wireguard/configuration.ts';
import { readEndpoint, writeEndpoint } from '../../../src/wireguard/endpoint-record.ts';
import { MAX_RELAYS, RelayedSources } from '../../../src/wireguard/relayed-sources.ts';

const BUFFERS = 2;
const RUNS = 4;

function v4(last: number, port: number): PeerEndpoint {
  return { family: 4, address: Uint8Array.of(10, 9, 0, last), port, scope: 0 };
}

function v6(last: number, port: number, scope = 0): PeerEndpoint {
  const address = new Uint8Array(16);
  address.set([0xfe, 0x80, last]);
  return { family: 6, address, port, scope };
}

const KEY = new Uint8Array(32).fill(7);

function setRelays(relayed: RelayedSources, relays: readonly PeerEndpoint[]): void {
  const withKeys = relays.map((relay) => ({ ...relay, publicKey: KEY }));
  relayed.setRelays(withKeys, () => -1);
}

/** Runs as [buffer, relay id], of buffers that came from the given addresses. */
function vectorOf(sources: readonly PeerEndpoint[], runs: readonly (readonly [number, number])[]) {
  const v = new InboundVector(RUNS, RUNS, 1024, BUFFERS, RUNS);
  for (const [i, source] of sources.entries()) writeEndpoint(v.sources, i, source);
  for (const [i, [buffer, relayId]] of runs.entries()) {
    v.source[i] = buffer;
    v.head[i] = ((relayId << 8) | 4) >>> 0;
  }
  v.length = runs.length;
  return v;
}

function sourceOf(v: InboundVector, run: number): PeerEndpoint | undefined {
  return readEndpoint(v.sources.words, v.source[run]!);
}

describe('relays', () => {
  it('are known by the edge that is a peer, whenever it becomes one', () => {
    const [one, two] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const relayed = new RelayedSources();
    const relays = [
      { ...v4(1, 9), publicKey: one },
      { ...v6(1, 9), publicKey: one },
      { ...v4(2, 9), publicKey: two },
    ];
    relayed.setRelays(relays, (key) => (key === keyToHex(one) ? 5 : -1));
    const table = new EndpointTable(1);
    const peerAt = (endpoint: PeerEndpoint): number => {
      writeEndpoint(table, 0, endpoint);
      return relayed.peerAt(table.words, 0);
    };
    const all = [v4(1, 9), v6(1, 9), v4(2, 9), v4(3, 9)];
    expect(all.map(peerAt)).toEqual([5, 5, -1, -1]);
    relayed.setPeer(keyToHex(two), 6);
    relayed.setPeer(keyToHex(one), -1);
    expect(all.map(peerAt)).toEqual([-1, -1, 6, -1]);
    // Behind the relay it is the same address.
    expect(peerAt({ ...v4(2, 9), relayId: 12 })).toBe(6);
  });
});

describe('relayed sources', () => {
  it('are the address, the port and the relay id, one record for each run that differs', () => {
    const relayed = new RelayedSources();
    setRelays(relayed, [v4(1, 41_641), v6(1, 41_641)]);
    const runs = [
      [0, 7],
      [0, 8],
      [0, 8],
      [1, 0xff_ffff],
    ] as const;
    const v = vectorOf([v4(1, 41_641), v6(1, 41_641)], runs);
    relayed.begin(v);
    expect(runs.map((_, i) => relayed.resolve(v, i))).toEqual([true, true, true, true]);
    expect(sourceOf(v, 0)).toEqual({ ...v4(1, 41_641), relayId: 7 });
    expect(sourceOf(v, 1)).toEqual({ ...v4(1, 41_641), relayId: 8 });
    expect(v.source[2]).toBe(v.source[1]);
    expect(sourceOf(v, 3)).toEqual({ ...v6(1, 41_641), relayId: 0xff_ffff });
    // The buffers' own records stay as they were: the next run may be one without a relay id.
    expect(readEndpoint(v.sources.words, 0)).toEqual(v4(1, 41_641));
  });

  it('keep the local address that the datagram came to', () => {
    const relayed = new RelayedSources();
    setRelays(relayed, [v4(1, 9)]);
    const v = vectorOf([v4(1, 9)], [[0, 3]]);
    v.sources.words.set([1, 2, 3, 4, 5], 6);
    relayed.begin(v);
    expect(relayed.resolve(v, 0)).toBe(true);
    const at = v.source[0]! * ENDPOINT_RECORD_WORDS;
    expect([...v.sources.words.subarray(at + 6, at + 12)]).toEqual([1, 2, 3, 4, 5, 3]);
  });

  it.each<[string, PeerEndpoint]>([
    ['another address', v4(2, 9)],
    ['another port', v4(1, 10)],
    ['another family', v6(1, 9)],
    ['another interface', v6(1, 9, 2)],
  ])('are none of %s', (_, source) => {
    const relayed = new RelayedSources();
    setRelays(relayed, [v4(1, 9), v6(1, 9, 3)]);
    const v = vectorOf([source], [[0, 7]]);
    relayed.begin(v);
    expect(relayed.resolve(v, 0)).toBe(false);
    expect(v.source[0]).toBe(0);
  });

  it('are none without relays, and none of a relay that was taken away', () => {
    const relayed = new RelayedSources();
    const v = vectorOf([v4(1, 9)], [[0, 7]]);
    relayed.begin(v);
    expect(relayed.resolve(v, 0)).toBe(false);
    setRelays(relayed, [v4(1, 9)]);
    relayed.begin(v);
    expect(relayed.resolve(v, 0)).toBe(true);
    setRelays(relayed, []);
    v.source[0] = 0;
    relayed.begin(v);
    expect(relayed.resolve(v, 0)).toBe(false);
  });

  it('find every one of the most relays there may be, in any order', () => {
    const relays = Array.from({ length: MAX_RELAYS }, (_, i) => v4(i, i + 1));
    const relayed = new RelayedSources();
    setRelays(relayed, relays);
    for (let k = 0; k < MAX_RELAYS; k++) {
      const v = vectorOf([relays[(k * 37) % MAX_RELAYS]!], [[0, k + 1]]);
      relayed.begin(v);
      expect(relayed.resolve(v, 0)).toBe(true);
    }
  });

  it('are refused, not mixed up, in a vector without spare records', () => {
    const relayed = new RelayedSources();
    setRelays(relayed, [v4(1, 9)]);
    const v = new InboundVector(1, 1, 64, 1);
    writeEndpoint(v.sources, 0, v4(1, 9));
    v.head[0] = (7 << 8) | 4;
    relayed.begin(v);
    expect(relayed.resolve(v, 0)).toBe(false);
  });
});

describe('an endpoint record', () => {
  it.each([v4(1, 2), v6(1, 65_535, 7), { ...v4(9, 1), relayId: 0xff_ffff }])(
    'reads as it was written: %o',
    (endpoint) => {
      const table = new EndpointTable(2);
      table.words.fill(-1);
      writeEndpoint(table, 1, endpoint);
      expect(readEndpoint(table.words, 1)).toEqual(endpoint);
      expect(readEndpoint(table.words.subarray(ENDPOINT_RECORD_WORDS))).toEqual(endpoint);
    },
  );
});
