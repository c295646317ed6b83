/**
 * A daemon whose sockets cannot be had, or are taken away.
 *
 *      west                                             east
 *   10.77.0.1 wg0 ── left ── eth0 ═══ veth ═══ eth0 ── right ── wg0 10.77.0.2
 *                        10.9.0.1           10.9.0.2
 */
import { expect, test } from 'vitest';
import { ours } from '../../lab/implementation.ts';
import { reach } from '../../lab/ping.ts';
import { INNER, OUTER, PORT, TunnelPair } from '../../lab/tunnel-pair.ts';
import { netnsSuite } from './suite.ts';

const talkative = { ...ours(), environment: { LOG_LEVEL: 'debug' } };

const OCCUPY = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.bind(${PORT}, () => console.log('taken'));
`;

netnsSuite('sockets lost', ['ss'], () => {
  test('peers hear of a daemon as soon as it gets its port, whether or not it has packets', async () => {
    await using pair = await TunnelPair.open({ left: talkative, right: ours() });
    const { west, left } = pair;
    await west.ip('link set wg0 down');
    // The kernel itself would send packets into the tunnel.
    await west.sysctl({ 'net.ipv6.conf.wg0.disable_ipv6': 1 });
    await left.set('peer', pair.right.keys.publicKey, 'persistent-keepalive', '25');
    const occupant = west.start([process.execPath, '-e', OCCUPY]);
    await occupant.line(/^taken$/);
    const refused = left.process.nextLine(/could not be bound/);
    await west.ip('link set wg0 up');
    await refused;
    const established = left.process.nextLine(/session-established/, 20);
    await occupant.stop('SIGKILL');
    await established;
    expect((await pair.rightPeer()).endpoint).toBe(`${OUTER.left}:${PORT}`);
  });

  test('a port that the kernel chose stays the same when the sockets are taken away', async () => {
    await using pair = await TunnelPair.open({ left: ours(), right: ours() });
    const { west, left } = pair;
    await left.set('listen-port', '0');
    await reach(west, INNER.right);
    const port = await left.listenPort();
    for (let i = 0; i < 2; i++) {
      await west.run(['ss', '-K', '-u', '-a', 'sport', '=', `:${port}`]);
      await reach(west, INNER.right);
      expect(await left.listenPort()).toBe(port);
      expect((await pair.rightPeer()).endpoint).toBe(`${OUTER.left}:${port}`);
    }
  });
});
