/**
 * Several tunnels in one network namespace, each with a default route: what they share is there as
 * long as one of them is, and nobody takes away what is another's.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generateKeyPair } from '../../lab/keys.ts';
import { Lab } from '../../lab/lab.ts';
import type { Namespace } from '../../lab/namespace.ts';
import { networkState } from './network-state.ts';
import { netnsSuite } from './suite.ts';

const CONNECTOR = join(import.meta.dirname, '../../bin/connector');
const VALID_MARK = 'net.ipv4.conf.all.src_valid_mark';

const command = (host: Namespace, verb: 'up' | 'down', file: string) =>
  host.run([CONNECTOR, 'tunnel', verb, file]);

function files(host: Namespace, count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const text = [
      '[Interface]',
      `PrivateKey = ${generateKeyPair().privateKey}`,
      '[Peer]',
      `PublicKey = ${generateKeyPair().publicKey}`,
      'AllowedIPs = 0.0.0.0/0',
    ];
    return host.file(`cw${i}.conf`, text.join('\n'));
  });
}

interface Rule {
  readonly priority: number;
  readonly table: string;
}
async function tables(host: Namespace): Promise<string[]> {
  const rules = JSON.parse(await host.run(['ip', '-json', 'rule'])) as Rule[];
  return rules.filter(({ priority }) => priority === 20_002).map(({ table }) => table);
}
const validMark = async (host: Namespace): Promise<string> =>
  (await host.run(['sysctl', '-n', VALID_MARK])).trim();

netnsSuite('tunnels beside each other', ['nft', 'sysctl'], () => {
  test('that start together have a table each, and end without harm to the others', async () => {
    await using lab = new Lab();
    const [host] = await lab.namespaces('host');
    const before = await networkState(host);
    const [first, ...rest] = files(host, 4);
    await Promise.all([first!, ...rest].map((file) => command(host, 'up', file)));
    expect(new Set(await tables(host)).size).toBe(4);
    await command(host, 'down', first!);
    expect(new Set(await tables(host)).size).toBe(3);
    expect(await host.run(['ip', 'rule'])).toContain('20001:');
    await Promise.all(rest.map((file) => command(host, 'down', file)));
    expect(await networkState(host)).toBe(before);
  });

  test.each(['first', 'last'])(
    'src_valid_mark stays on when the %s one ends, and is set back by the other',
    async (which) => {
      await using lab = new Lab();
      const [host] = await lab.namespaces('host');
      await host.run(['sysctl', '-w', `${VALID_MARK}=0`]);
      const [one, two] = files(host, 2);
      await command(host, 'up', one!);
      await command(host, 'up', two!);
      const order = which === 'first' ? [one!, two!] : [two!, one!];
      await command(host, 'down', order[0]!);
      expect(await validMark(host)).toBe('1');
      await command(host, 'down', order[1]!);
      expect(await validMark(host)).toBe('0');
    },
  );
});
