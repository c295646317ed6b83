/**
 * The life of a daemon: started, moved, killed, started again, ended.
 *
 *      west                                             east
 *   10.77.0.1 wg0 ── left ── eth0 ═══ veth ═══ eth0 ── right ── wg0 10.77.0.2
 *                        10.9.0.1           10.9.0.2
 */
import { existsSync, statSync, unlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Device, fileIsGone } from '../../lab/device.ts';
import { ours } from '../../lab/implementation.ts';
import { Lab } from '../../lab/lab.ts';
import type { Namespace } from '../../lab/namespace.ts';
import { ping, reach } from '../../lab/ping.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { INNER, TunnelPair } from '../../lab/tunnel-pair.ts';
import { networkState } from './network-state.ts';
import { netnsSuite } from './suite.ts';

const both = { left: ours(), right: ours() };

async function links(namespace: Namespace): Promise<string> {
  return namespace.run(['ip', '-o', 'link']);
}

netnsSuite('life of a daemon', ['nft'], () => {
  test('without -f the command returns when the interface can be configured', async () => {
    await using lab = new Lab();
    const host = await lab.namespace('host');
    const { command } = ours();
    await host.run([command, 'wg0'], { environment: { LOG_LEVEL: 'silent' } });
    expect(await links(host)).toContain('wg0:');
    expect(statSync(`${host.sockets}/wg0.sock`).mode & 0o777).toBe(0o600);
    await host.run(['wg', 'set', 'wg0', 'listen-port', '4711']);
    expect(await host.run(['wg', 'show', 'wg0', 'listen-port'])).toBe('4711\n');
    const again = await host.attempt([command, 'wg0']);
    expect(again.code).not.toBe(0);
    expect(again.stderr).not.toBe('');
    expect(await links(host)).toContain('wg0:');
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s leaves nothing', async (signal) => {
    await using pair = await TunnelPair.open(both);
    const fresh = await networkState(await pair.lab.namespace('fresh'));
    await reach(pair.west, INNER.right);
    expect(await pair.left.process.stop(signal)).toBe(0);
    expect(existsSync(pair.left.socket)).toBe(false);
    expect(await links(pair.west)).not.toContain('wg0');
    await pair.west.ip('link del eth0');
    expect(await networkState(pair.west)).toBe(fresh);
  });

  test('ends when its interface is removed, and when its socket is', async () => {
    await using pair = await TunnelPair.open(both);
    await pair.west.ip('link del wg0');
    await pair.left.process.exited;
    expect(existsSync(pair.left.socket)).toBe(false);
    unlinkSync(pair.right.socket);
    await pair.right.process.exited;
    expect(await links(pair.east)).not.toContain('wg0');
  });

  test('a TCP connection survives kill -9 and a restart', async () => {
    await using pair = await TunnelPair.open(both);
    await startService(pair.east, 7);
    const stream = new ServiceClient(pair.west, INNER.right, 7).stream();
    await stream.line(/"from"/);
    stream.write('before\n');
    await stream.line(/before/);
    await pair.left.process.stop('SIGKILL');
    stream.write('while it is dead\n');
    await pair.left.restart(both.left);
    await pair.configureLeft(both);
    stream.write('after\n');
    await stream.line(/while it is dead/, 20);
    await stream.line(/after/, 20);
    expect(stream.running).toBe(true);
  });

  test('works for an interface that was moved to another namespace', async () => {
    await using pair = await TunnelPair.open(both);
    const container = await pair.lab.namespace('container');
    await pair.west.ip(`link set wg0 netns ${container.name}`);
    await container.ip(`address add ${INNER.left}/24 dev wg0`, 'link set wg0 up');
    await reach(container, INNER.right);
    expect(await ping(pair.east, INNER.left, 20)).toHaveLength(20);
    await startService(pair.east, 7);
    await new ServiceClient(container, INNER.right, 7).echo(1_000_000);
    // The socket stays where the daemon is.
    expect((await pair.leftPeer()).received).toBeGreaterThan(1_000_000);
    expect(await pair.left.process.stop()).toBe(0);
    expect(await links(container)).not.toContain('wg0');
  });

  test('an interface that is down and up again carries on', async () => {
    await using pair = await TunnelPair.open(both);
    await reach(pair.west, INNER.right);
    await pair.west.ip('link set wg0 down', 'link set wg0 up');
    await reach(pair.west, INNER.right);
    await reach(pair.east, INNER.left);
  });

  test('an interface that stands already is not touched', async () => {
    await using lab = new Lab();
    const [host, other] = await lab.namespaces('host', 'other');
    await host.ip(`link add name wg0 type veth peer name eth0 netns ${other.name}`);
    const { code, stderr } = await host.attempt([ours().command, '-f', 'wg0']);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/wg0/);
    expect(await links(host)).toContain('wg0@');
    expect(existsSync(`${host.sockets}/wg0.sock`)).toBe(false);
  });

  test('a stale socket of a killed daemon is in nobody’s way', async () => {
    await using lab = new Lab();
    const host = await lab.namespace('host');
    const device = await Device.start(host, ours());
    await device.process.stop('SIGKILL');
    expect(existsSync(device.socket)).toBe(true);
    await host.run([ours().command, 'wg0'], { environment: { LOG_LEVEL: 'silent' } });
    expect(await host.run(['wg', 'show', 'interfaces'])).toBe('wg0\n');
    await host.ip('link del wg0');
    await fileIsGone(device.socket);
  });
});
