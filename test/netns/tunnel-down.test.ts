/**
 * `connector tunnel down`: whose tunnel it ends, and that hooks which hang or run on do not keep it
 * from removing everything.
 *
 *   one: cw0          two: cw0        two network namespaces, not connected
 */
import { join } from 'node:path';
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
});
