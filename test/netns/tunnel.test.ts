/**
 * Our program on both sides of a tunnel, what the field expects of a router beyond the protocol.
 *
 *      west                                             east
 *   10.77.0.1 wg0 ── left ── eth0 ═══ veth ═══ eth0 ── right ── wg0 10.77.0.2
 *   fd77::1              10.9.0.1           10.9.0.2                fd77::2
 */
import { expect, test } from 'vitest';
import { ours } from '../../lab/implementation.ts';
import { isSilent, ping, reach } from '../../lab/ping.ts';
import { ServiceClient, startService, startUdpProxy } from '../../lab/service.ts';
import { INNER, INNER6, OUTER, OUTER6, PORT, TunnelPair } from '../../lab/tunnel-pair.ts';
import { netnsSuite } from './suite.ts';

const both = { left: ours(), right: ours() };

netnsSuite('tunnel', ['nft'], () => {
  test('every small size of UDP, one by one', async () => {
    await using pair = await TunnelPair.open(both);
    await startService(pair.east, 7);
    const client = new ServiceClient(pair.west, INNER.right, 7);
    await client.datagrams(...Array.from({ length: 200 }, (_, i) => i + 1));
    // Around each border of inner fragmentation, and random places between.
    const borders = [1_391, 1_392, 1_393, 2_759, 2_760, 2_761, 16_383, 40_001, 65_506, 65_507];
    await client.datagrams(...borders);
  });

  test.each([
    ['jumbo frames', 8_920, 9_000],
    ['the largest', 34_736, 65_535],
  ])('an MTU of %s', async (_, mtu, underlayMtu) => {
    await using pair = await TunnelPair.open({ ...both, mtu, underlayMtu });
    await startService(pair.east, 7);
    for (const address of [INNER.right, INNER6.right]) {
      await reach(pair.west, address);
      const client = new ServiceClient(pair.west, address, 7);
      await client.echo(8_000_000);
      await client.datagrams(1, mtu - 48, 65_507);
      // The whole of one packet, that is without fragmentation.
      const size = mtu - (address === INNER.right ? 28 : 48);
      expect(await ping(pair.west, address, 5, 0.01, size)).toHaveLength(5);
    }
  });

  test('an MTU that the underlay does not take: outer fragments', async () => {
    await using pair = await TunnelPair.open({ ...both, mtu: 3_000 });
    await reach(pair.west, INNER.right);
    expect(await ping(pair.west, INNER.right, 5, 0.01, 2_900)).toHaveLength(5);
  });

  test('answers come from the address that was asked, and from another one when it is gone', async () => {
    await using pair = await TunnelPair.open({ ...both, endpoints: 'left' });
    const peer = pair.right.keys.publicKey;
    const moves = [
      ['10.9.0.102/24', `10.9.0.102:${PORT}`, `${OUTER.right}:${PORT}`],
      ['fd09::102/64', `[fd09::102]:${PORT}`, `[${OUTER6.right}]:${PORT}`],
    ] as const;
    for (const [address, second, first] of moves) {
      await pair.left.set('peer', peer, 'endpoint', first);
      await reach(pair.west, INNER.right);
      await pair.east.ip(`address add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`);
      await pair.left.set('peer', peer, 'endpoint', second);
      await reach(pair.west, INNER.right);
      await reach(pair.east, INNER.left);
      expect((await pair.leftPeer()).endpoint).toBe(second);
      await pair.east.ip(`address del ${address} dev eth0`);
      await reach(pair.east, INNER.left);
      expect((await pair.leftPeer()).endpoint).toBe(first);
    }
  });

  test('a packet whose source is not an allowed IP of its peer goes nowhere', async () => {
    await using pair = await TunnelPair.open(both);
    await pair.east.nft(`
      table inet watch {
        counter genuine { }
        counter spoofed { }
        chain input {
          type filter hook input priority 0
          iifname wg0 ip saddr ${INNER.left} counter name genuine
          iifname wg0 ip6 saddr ${INNER6.left} counter name genuine
          iifname wg0 ip saddr 10.77.0.66 counter name spoofed
          iifname wg0 ip6 saddr fd77::66 counter name spoofed
        }
      }`);
    await pair.west.ip(
      'address add 10.77.0.66/24 dev wg0',
      'address add fd77::66/64 dev wg0 nodad preferred_lft 0',
    );
    await reach(pair.west, INNER.right);
    await reach(pair.west, INNER6.right);
    expect(await isSilent(pair.west, INNER.right, '-I', '10.77.0.66')).toBe(true);
    expect(await isSilent(pair.west, INNER6.right, '-I', 'fd77::66')).toBe(true);
    const counted = async (name: string): Promise<number> => {
      const text = await pair.east.run(['nft', 'list', 'counter', 'inet', 'watch', name]);
      return Number(/packets (\d+)/.exec(text)![1]);
    };
    expect(await counted('genuine')).toBe(2);
    expect(await counted('spoofed')).toBe(0);
  });

  test('what has no route is sent to nobody', async () => {
    await using pair = await TunnelPair.open(both);
    await reach(pair.west, INNER.right);
    expect(await isSilent(pair.west, '10.77.0.9')).toBe(true);
    expect((await pair.leftPeer()).sent).toBeLessThan(1_000);
  });

  test('65,280 prefixes of one peer by one wg setconf', async () => {
    await using pair = await TunnelPair.open(both);
    const allowedIps = Array.from({ length: 32_640 }, (_, i) => {
      const [high, low] = [1 + Math.floor(i / 256), i % 256];
      return [`10.${high}.${low}.0/24`, `fd00:${high.toString(16)}:${(low + 1).toString(16)}::/48`];
    }).flat();
    const endpoint = `${OUTER.right}:${PORT}`;
    await pair.left.configure(PORT, { publicKey: pair.right.keys.publicKey, allowedIps, endpoint });
    const shown = (await pair.leftPeer()).allowedIps;
    expect(shown).toHaveLength(65_280);
    const set = new Set(allowedIps);
    expect(shown.filter((prefix) => !set.has(prefix))).toEqual([]);
    await reach(pair.west, INNER.right);
  });

  test('a path that delays and overtakes loses nothing; one that loses is only slower', async () => {
    await using pair = await TunnelPair.open({ ...both, endpoints: 'left' });
    const proxy = { host: OUTER.right, hostPort: PORT };
    await startUdpProxy(pair.west, { ...proxy, port: 1001, delay: 2, jitter: 30 });
    await startUdpProxy(pair.west, { ...proxy, port: 1002, delay: 1, jitter: 4, loss: 0.02 });
    const through = async (port: number): Promise<void> => {
      const peer = pair.right.keys.publicKey;
      await pair.left.set('peer', peer, 'endpoint', `127.0.0.1:${port}`);
    };
    await through(1001);
    await reach(pair.west, INNER.right);
    const times = await ping(pair.west, INNER.right, 300, 0.003);
    expect(times).toHaveLength(300);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(10);
    await through(1002);
    await reach(pair.west, INNER.right);
    await startService(pair.east, 7);
    await new ServiceClient(pair.west, INNER.right, 7).echo(300_000);
  });
});
