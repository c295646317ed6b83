/**
 * `connector tunnel down`: whose tunnel it ends, and that hooks which hang or run on do not keep it
 * from removing everything.
 *
 *   one: cw0          two: cw0        two network namespaces, not connected
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { generateKeyPair } from '../../lab/keys.ts';
import { Lab } from '../../lab/lab.ts';
import type { Namespace } from '../../lab/namespace.ts';
import { networkState } from './network-state.ts';
import { netnsSuite } from './suite.ts';

const CONNECTOR = join(import.meta.dirname, '../../bin/connector');

function fileFor(host: Namespace, name: string, ...more: string[]): string {
  const text = [
    '[Interface]',
    `PrivateKey = ${generateKeyPair().privateKey}`,
    ...more,
    '[Peer]',
    `PublicKey = ${generateKeyPair().publicKey}`,
    'AllowedIPs = 0.0.0.0/0',
  ];
  return host.file(`${name}.conf`, text.join('\n'));
}

const SETTING = 'net.ipv4.conf.all.src_valid_mark';

/** What the daemon of an interface notes of its set-up, in the namespace's view of /run. */
async function notesOf(host: Namespace, interfaceName: string): Promise<string> {
  const [, inode] = /\[(\d+)\]/.exec(await host.run(['readlink', '/proc/self/ns/net']))!;
  return join(host.folder, 'causeway', `netns-${inode}`, `${interfaceName}.json`);
}

/** Kills the daemon, and waits until its interface is gone with it. */
async function killDaemon(host: Namespace, interfaceName: string): Promise<void> {
  const status = await host.run([CONNECTOR, 'tunnel', 'status', interfaceName, '--json']);
  const [{ pid }] = JSON.parse(status) as [{ pid: number }];
  process.kill(pid, 'SIGKILL');
  while ((await host.attempt(['ip', 'link', 'show', interfaceName])).code === 0);
}

const tunnel = (host: Namespace, verb: 'up' | 'down', file: string) =>
  host.attempt([CONNECTOR, 'tunnel', verb, file]);

netnsSuite('connector tunnel down', ['nft', 'sysctl'], () => {
  test('leaves a tunnel of the same name in another namespace alone', async () => {
    await using lab = new Lab();
    const [one, two] = await lab.namespaces('one', 'two');
    const file = fileFor(one, 'cw0');
    expect(await tunnel(one, 'up', file)).toMatchObject({ code: 0 });
    const refused = await tunnel(two, 'down', file);
    expect(refused.stderr).toContain('INTERFACE_MISSING');
    expect(refused.code).toBe(1);
    // A gateway's `down` ends no tunnel.
    const other = await one.attempt([CONNECTOR, 'down', '--interface', 'cw0']);
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/`connector tunnel down cw0` ends it.*INTERFACE_MISSING/s);
    expect(await one.run(['wg', 'show', 'interfaces'])).toBe('cw0\n');
    expect(await tunnel(one, 'down', file)).toMatchObject({ code: 0 });
  });

  test('a PreDown that hangs is killed, what it leaves behind is not waited for', async () => {
    await using lab = new Lab();
    const [host] = await lab.namespaces('one');
    const before = await networkState(host);
    const hooks = ['PostUp = sleep 40 &', 'PreDown = sleep 600'];
    const file = fileFor(host, 'cw0', ...hooks);
    const start = performance.now();
    expect(await tunnel(host, 'up', file)).toMatchObject({ code: 0 });
    expect(performance.now() - start).toBeLessThan(30_000);
    expect(await tunnel(host, 'down', file)).toMatchObject({ code: 0 });
    expect(await networkState(host)).toBe(before);
  });

  test('notes of a namespace that is gone mean nothing in one with the same inode', async () => {
    await using lab = new Lab();
    const [one, two] = await lab.namespaces('one', 'two');
    expect(await tunnel(one, 'up', fileFor(one, 'cw0'))).toMatchObject({ code: 0 });
    await killDaemon(one, 'cw0');
    const notes = readFileSync(await notesOf(one, 'cw0'), 'utf8');
    const { routing, sysctls } = JSON.parse(notes);
    const [routes] = routing;
    expect(sysctls).toEqual({ [SETTING]: '0' });
    one.close();

    // Somebody else's, in the new one: what the notes name.
    await two.sysctl({ [SETTING]: 1 });
    await two.ip(
      `rule add not fwmark ${routes.mark} table ${routes.table}`,
      `route add blackhole 198.51.100.0/24 table ${routes.table}`,
    );
    const stateOf = async (): Promise<string> =>
      (await networkState(two)) + (await two.run(['sysctl', SETTING]));
    const before = await stateOf();
    const file = fileFor(two, 'cw0');
    const forged = await notesOf(two, 'cw0');
    mkdirSync(dirname(forged), { recursive: true, mode: 0o700 });
    writeFileSync(forged, notes, { mode: 0o600 });
    const refused = await tunnel(two, 'down', file);
    expect([refused.code, await stateOf()]).toEqual([1, before]);
    expect(refused.stderr).toContain('INTERFACE_MISSING');
    expect(await tunnel(two, 'up', file)).toMatchObject({ code: 0 });
    expect(await tunnel(two, 'down', file)).toMatchObject({ code: 0 });
    expect(await stateOf()).toBe(before);
  });
});
