/**
 * The unmodified `wg-quick` with our program as its userspace implementation, towards a peer on
 * another host; once with a subnet behind the peer, once with everything.
 *
 *      west                                             east
 *   10.77.0.1 wgq0 ─ left ── eth0 ═══ veth ═══ eth0 ── right ── wg0 10.77.0.2, 172.16.5.1
 */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configuration, Device } from '../../lab/device.ts';
import { ours } from '../../lab/implementation.ts';
import { generateKeyPair } from '../../lab/keys.ts';
import { Lab } from '../../lab/lab.ts';
import { connect, type Namespace } from '../../lab/namespace.ts';
import { reach } from '../../lab/ping.ts';
import { INNER, OUTER, PORT } from '../../lab/tunnel-pair.ts';
import { netnsSuite } from './suite.ts';

async function routing(host: Namespace): Promise<string> {
  const rules = await host.run(['ip', 'rule']);
  return rules + (await host.run(['ip', 'route', 'show', 'table', 'all']));
}

/** wg-quick prefers the kernel's own WireGuard. */
const kernel = existsSync('/sys/module/wireguard');
const title = kernel ? 'wg-quick (skipped: the kernel has WireGuard itself)' : 'wg-quick';

netnsSuite(title, ['wg-quick', 'nft'], () => {
  test.skipIf(kernel).each([
    ['a subnet', '10.77.0.2/32, 172.16.5.0/24'],
    ['everything', '0.0.0.0/0, ::/0'],
  ])('up and down with %s behind the peer', async (_, allowedIps) => {
    await using lab = new Lab();
    const [west, east] = await lab.namespaces('west', 'east');
    await connect(
      { namespace: west, link: 'eth0', addresses: [`${OUTER.left}/24`] },
      { namespace: east, link: 'eth0', addresses: [`${OUTER.right}/24`] },
    );
    await west.ip(`route add default via ${OUTER.right}`);
    await east.ip('address add 172.16.5.1/32 dev lo');
    const right = await Device.start(east, ours());
    const keys = generateKeyPair();
    await right.configure(PORT, { publicKey: keys.publicKey, allowedIps: [`${INNER.left}/32`] });
    await right.up([`${INNER.right}/24`]);

    const peer = {
      publicKey: right.keys.publicKey,
      allowedIps: [allowedIps],
      endpoint: `${OUTER.right}:${PORT}`,
    };
    const text = configuration(keys, PORT, [peer]);
    const addresses = `Address = ${INNER.left}/24, fd77::1/64\nMTU = 1400\n`;
    const file = west.file('wgq0.conf', text.replace('[Interface]\n', `[Interface]\n${addresses}`));
    const environment = {
      WG_QUICK_USERSPACE_IMPLEMENTATION: ours().command,
      LOG_LEVEL: 'silent',
    };
    const before = await routing(west);
    await west.run(['wg-quick', 'up', file], { environment });
    expect(await west.run(['ip', '-o', 'link', 'show', 'wgq0'])).toContain('mtu 1400');
    await reach(west, '172.16.5.1');
    expect((await right.peer(keys.publicKey)).endpoint).toBe(`${OUTER.left}:${PORT}`);
    await west.run(['wg-quick', 'down', file], { environment });
    expect(await routing(west)).toBe(before);
    expect(existsSync(`${west.sockets}/wgq0.sock`)).toBe(false);
    // Up again at once: nothing of the first time is in the way.
    await west.run(['wg-quick', 'up', file], { environment });
    await reach(west, '172.16.5.1');
  });
});
