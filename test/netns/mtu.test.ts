/**
 * Paths that carry less than they should, and nobody who says so: ICMP and ICMPv6 errors are dropped by
 * every router and host, those of the LANs too (lab/mesh-lab.ts).
 *
 *   host a ── gateway a ── nat ──── internet ────── nat ── gateway b ── host b
 *                                      │    1280
 *                                     edge
 *
 * Traffic goes by the relay: a → edge → b passes the narrow link one way, b → edge → a the other way.
 */
import { expect, test } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { INTERFACE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import {
  clampControlPlane,
  endSilence,
  lansOf,
  narrow,
  silence,
  underlayOf,
} from '../../lab/underlay.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;

netnsSuite('path MTU', ['nft'], () => {
  test('a narrow link that nobody speaks of', { timeout: 60_000 }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    const [a, b] = mesh.sites as [Site, Site];
    await narrow(mesh, b, 1_280);
    await silence(...underlayOf(mesh), ...lansOf(mesh));
    await clampControlPlane(mesh);
    await mesh.startEdge();
    await mesh.joinAll();
    // Of datagrams no larger than a link hosts ask not to be fragmented, unless they are told not to ask.
    for (const { host } of mesh.sites) await host.sysctl({ 'net.ipv4.ip_no_pmtu_disc': 1 });
    await Promise.all([startService(a.host, PORT), startService(b.host, PORT)]);
    // The very first packets: a connection opened before anything is known of the path.
    const v4 = new ServiceClient(a.host, b.address[4], PORT);
    await v4.echo(2_000_000);
    const v6 = new ServiceClient(b.host, a.address[6], PORT);
    await v6.echo(2_000_000);
    // 1280 of the link, 20 of IPv4, 8 of UDP, 32 of a message, in steps of 16.
    await eventually(async () => (await a.status()).peers[0]?.mtu === 1_216, 'the MTU is found');
    const routes = () => a.gateway.run(['ip', 'route', 'show', 'table', 'all', 'dev', INTERFACE]);
    // The kernel follows a moment later, as it does below.
    await eventually(async () => / mtu 1216/.test(await routes()), 'the routes have it');
    expect(await routes()).toMatch(/^10\.2\.0\.0\/24 .*mtu 1216/m);
    const routes6 = await a.gateway.run([
      'ip',
      '-6',
      ...'route show table all dev'.split(' '),
      INTERFACE,
    ]);
    expect(routes6).toMatch(/^fd02::\/64 .*mtu lock 1280/m);
    await v4.datagrams(1, 1_188, 1_189, 1_252, 1_392, 1_472, 1_473, 9_000, 65_507);
    await v6.datagrams(1, 1_167, 1_168, 1_169, 1_232);
    // Larger ones over IPv6 are the sender's to cut, if it may hear of it.
    await endSilence(...lansOf(mesh));
    // Both ends are told: the asker of its question, the other one of its answer.
    const asked = ['ping', '-6', '-c', '4', '-i', '0.2', '-W', '1', '-s', '1400', a.address[6]];
    await b.host.attempt(asked);
    await v6.datagrams(1_233, 1_400, 1_452, 9_000, 65_507);
    expect((await a.status()).problems.join()).toContain('at most 1216 bytes');
    // The link becomes wide: seen at the next look, which a change of the network hurries.
    await narrow(mesh, b, 1_500);
    await a.gateway.ip('address add 192.0.2.1/32 dev lo');
    await eventually(async () => {
      await v4.echo(10_000);
      return (await a.status()).peers[0]?.mtu === 1_420;
    }, 'the MTU rises');
    await eventually(async () => !/ mtu /.test(await routes()), 'the routes need none');
    const whole = ['-M', 'do', '-s', String(1_420 - 28)];
    await a.host.run(['ping', '-c', '1', '-W', '5', ...whole, b.address[4]]);
  });
});
