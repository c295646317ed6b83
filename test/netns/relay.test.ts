/**
 * Two gateways behind NATs that let nothing in, and the relay between them: see lab/relay-mesh.ts.
 */
import { expect, test } from 'vitest';
import { reach } from '../../lab/ping.ts';
import { RelayMesh } from '../../lab/relay-mesh.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { INNER, INNER6 } from '../../lab/tunnel-pair.ts';
import { netnsSuite } from './suite.ts';

netnsSuite('relay', ['nft'], () => {
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
});
