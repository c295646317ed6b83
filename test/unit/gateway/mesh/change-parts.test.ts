/** In parts, a change comes to the same as at once. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packAllowedIps } from '../../../../src/gateway/allowed-ip-records.ts';
import { changeParts, MOST_RECORDS } from '../../../../src/gateway/mesh/change-parts.ts';
import { prefixOf } from '../../../../src/routing/prefix.ts';
import { ALLOWED_IP_RECORD, type PeerChange } from '../../../../src/wireguard/configuration.ts';

const records = (count: number, from: number): Uint8Array =>
  packAllowedIps(
    Array.from({ length: count }, (_, i) => {
      const n = from + i;
      return prefixOf(Uint8Array.of(10 + (n >> 16), n >> 8, n, 0), 24);
    }),
  );

test('all of it, in order, and none is large', () => {
  const sizes = fc.array(fc.constantFrom(0, 1, 7, 1_000, MOST_RECORDS, 5_000), { maxLength: 6 });
  fc.assert(
    fc.property(sizes, (counts) => {
      const peers = counts.map((count, i): PeerChange => {
        const publicKey = new Uint8Array(32).fill(i + 1);
        const few = { publicKey, persistentKeepalive: i };
        return count === 0 ? few : { ...few, allowedIps: records(count, i * 10_000) };
      });
      const destinations = records(MOST_RECORDS + 1, 200_000);
      const [some, one, ...parts] = changeParts({
        ...{ replacePeers: true, relays: [], destinations, peers },
      });
      // No peer is heard before all of them are known.
      expect([some, one]).toEqual([
        { destinations: destinations.subarray(0, -ALLOWED_IP_RECORD), peers: [] },
        { destinations: destinations.subarray(-ALLOWED_IP_RECORD), peers: [] },
      ]);
      expect(parts.map(({ replacePeers }) => replacePeers)).toEqual([
        true,
        ...parts.slice(1).map(() => undefined),
      ]);
      const joined = new Map<number, { first: PeerChange; bytes: number[] }>();
      for (const part of parts) {
        const bytes = part.peers.reduce((sum, peer) => sum + (peer.allowedIps?.length ?? 0), 0);
        expect(bytes / ALLOWED_IP_RECORD).toBeLessThanOrEqual(MOST_RECORDS);
        for (const peer of part.peers) {
          const known = joined.get(peer.publicKey[0]!);
          if (known === undefined) joined.set(peer.publicKey[0]!, { first: peer, bytes: [] });
          else expect(peer.updateOnly).toBe(true);
          joined.get(peer.publicKey[0]!)!.bytes.push(...(peer.allowedIps ?? []));
        }
      }
      for (const [i, peer] of peers.entries()) {
        const { first, bytes } = joined.get(i + 1)!;
        expect(first.persistentKeepalive).toBe(i);
        expect(Buffer.from(bytes)).toEqual(Buffer.from(peer.allowedIps ?? []));
      }
    }),
    { numRuns: 40 },
  );
});

test('an empty list of destinations is one: it lets nothing in', () => {
  const empty = new Uint8Array();
  expect(changeParts({ destinations: empty, peers: [] })).toEqual([
    { destinations: empty, peers: [] },
    { peers: [] },
  ]);
});
