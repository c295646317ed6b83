/**
 * Two gateways behind NATs that let nothing in, and the relay between them: see lab/relay-mesh.ts.
 */
import { expect, test } from 'vitest';
import { Capture, datagramOf } from '../../lab/capture.ts';
import { reach } from '../../lab/ping.ts';
import { EDGE, RELAY_PORT, RelayMesh } from '../../lab/relay-mesh.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { INNER, INNER6 } from '../../lab/tunnel-pair.ts';
import { relayIdOf, stampRelayId } from '../../src/wireguard/messages.ts';
import { netnsSuite } from './suite.ts';

const HANDSHAKE_SIZES = [0, 148, 92, 64];

netnsSuite('relay', ['nft', 'tcpdump'], () => {
  test.each([4, 6] as const)('traffic both ways over IPv%i', async (underlay) => {
    await using mesh = await RelayMesh.open({ underlay });
    const { west, east } = mesh;
    await startService(east.namespace, 7);
    await startService(west.namespace, 7);
    for (const { left, right } of [INNER, INNER6]) {
      await reach(west.namespace, right);
      await reach(east.namespace, left);
      const there = new ServiceClient(west.namespace, right, 7);
      const back = new ServiceClient(east.namespace, left, 7);
      expect((await there.who('tcp')).from).toBe(left);
      expect((await back.who('udp')).from).toBe(right);
      await there.echo(4_000_000);
      await back.echo(4_000_000);
      const sizes = Array.from({ length: 40 }, (_, i) => i + 1);
      await there.datagrams(...sizes, 1_391, 1_392, 1_393, 2_761, 16_383, 65_506, 65_507);
    }
    const [peer] = (await west.snapshot()).peers.filter(({ relayId }) => relayId !== 0);
    expect(peer).toMatchObject({ publicKey: east.keys.publicKey, relayId: 102 });
    const { bound, pairs } = await mesh.statistics();
    expect(bound).toBe(2);
    expect(pairs.map(({ from, to }) => [from, to]).sort()).toEqual([
      [101, 102],
      [102, 101],
    ]);
  });

  test.each([4, 6] as const)(
    'a capture at the edge over IPv%i: only messages, none longer than it came',
    async (underlay) => {
      await using mesh = await RelayMesh.open({ underlay });
      const { west, east, edge } = mesh;
      await startService(east.namespace, 7);
      const captures = [
        await Capture.open(edge, 'site1'),
        await Capture.open(edge, 'site2'),
      ] as const;
      const secret = 'in-plaintext-for-nobody';
      const stream = new ServiceClient(west.namespace, INNER.right, 7).stream();
      for (let i = 0; i < 20; i++) {
        const back = stream.nextLine(new RegExp(`^${secret} ${i}$`));
        stream.write(`${secret} ${i}\n`);
        await back;
      }
      const client = new ServiceClient(west.namespace, INNER6.right, 7);
      for (const size of [1, 15, 16, 17, 500, 1_372]) await client.datagrams(size);

      const frames = [await captures[0].frames(), await captures[1].frames()] as const;
      for (const frame of frames.flat()) expect(frame.includes(secret)).toBe(false);
      const relay = `${EDGE[underlay]} ${RELAY_PORT}`;
      const [first, second] = frames.map((all) => {
        return all.map(datagramOf).filter((found) => found?.to === relay || found?.from === relay);
      });
      const messages = (link: typeof first, direction: 'in' | 'out'): Buffer[] => {
        return link!
          .filter((found) => (direction === 'in' ? found?.to : found?.from) === relay)
          .flatMap((found) => split(Buffer.from(found!.payload)))
          .filter((payload) => relayIdOf(payload) !== 0);
      };
      // What comes in on one link goes out on the other, whole, and no byte longer.
      for (const [from, to, source, destination] of [
        [first, second, west.relayId, east.relayId],
        [second, first, east.relayId, west.relayId],
      ] as const) {
        const into = messages(from, 'in');
        const out = messages(to, 'out').map((payload) => payload.toString('hex'));
        let found = 0;
        for (const payload of into) {
          const [type] = payload;
          expect([1, 2, 4]).toContain(type);
          if (type !== 4) expect(payload.length).toBe(HANDSHAKE_SIZES[type!]);
          expect(relayIdOf(payload)).toBe(destination);
          stampRelayId(payload, source);
          if (out.includes(payload.toString('hex'))) found++;
        }
        // But for one or two at the ends of the captures.
        expect(found).toBeGreaterThan(20);
        expect(found).toBeGreaterThanOrEqual(into.length - 2);
      }
    },
  );
});

/**
 * The messages in what a link shows as one datagram: before it is segmented by the receiver, one may
 * hold several of a session. They have the same first eight bytes, and the counter goes on.
 */
function split(payload: Buffer): Buffer[] {
  if (payload[0] !== 4) return [payload];
  const next = Buffer.from(payload.subarray(0, 16));
  next.writeBigUInt64LE(next.readBigUInt64LE(8) + 1n, 8);
  const at = payload.indexOf(next);
  if (at < 0) return [payload];
  return [payload.subarray(0, at), ...split(payload.subarray(at))];
}
