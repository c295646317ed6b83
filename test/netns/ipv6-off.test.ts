/**
 * A gateway whose host has IPv6 switched off: it is a gateway for IPv4 all the same, and for both when
 * somebody switches it on. Two sites and their edge, the second without IPv6:
 *
 *      host a ──── gateway a ──── nat ──── internet, edge ──── nat ──── gateway b ──── host b
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { INTERFACE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { netnsSuite } from './suite.ts';

const SETTING = `net.ipv6.conf.${INTERFACE}.disable_ipv6`;

netnsSuite('a host without IPv6', ['nft', 'sysctl'], () => {
  test('carries IPv4, and IPv6 once it is there', async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    const [a, b] = mesh.sites as [Site, Site];
    await mesh.startEdge();
    await b.gateway.sysctl({
      'net.ipv6.conf.all.disable_ipv6': 1,
      'net.ipv6.conf.default.disable_ipv6': 1,
    });
    await mesh.joinAll();
    const ping = (from: Site, to: string) => from.host.run(['ping', '-c1', '-w10', to]);
    await ping(a, b.address[4]);
    const { problems } = await b.status();
    expect(problems.join('\n')).toMatch(/IPv6 is switched off/);
    expect(problems.join('\n')).not.toMatch(/refused|failed|cannot ask/);

    // Everything of IPv6 is put in place as soon as it can be, and nothing is wrong any more.
    await b.gateway.sysctl({ 'net.ipv6.conf.all.disable_ipv6': 0 });
    await b.gateway.ip(
      'address replace fd02::1/64 dev lan0',
      'address replace fd20::2/64 dev wan0',
    );
    await b.gateway.sysctl({ [SETTING]: 0 });
    const way = () => b.gateway.run(['ip', '-6', 'route', 'get', a.address[6]]);
    while (!(await way().catch(() => '')).includes(INTERFACE)) await delay(50);
    // Without link-local addresses the gateway cannot ask for its neighbour first.
    await ping(b, 'fd02::1');
    await ping(a, b.address[6]);
    const listens = () => b.gateway.run(['ss', '-6', '-H', '-tln', 'sport', '=', ':10096']);
    while ((await listens()) === '') await delay(50);

    // It goes again, and nobody is accused of having taken it away.
    await b.gateway.sysctl({ [SETTING]: 1 });
    while (!(await b.status()).problems.some((text) => /IPv6 is switched off/.test(text))) {
      await delay(50);
    }
    expect((await b.status()).problems.join('\n')).not.toMatch(/another program/i);
    await ping(a, b.address[4]);
    await b.down();
  });
});
