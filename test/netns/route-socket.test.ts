/** Routes and rules by netlink, as the kernel's own tool shows them. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Lab } from '../../lab/lab.ts';
import { netnsSuite } from './suite.ts';

const PROBE = join(import.meta.dirname, 'route-socket-probe.ts');

netnsSuite('routes and rules by netlink', [], () => {
  test('are what ip shows; ours are told from others', { timeout: 30_000 }, async () => {
    await using lab = new Lab();
    const [host] = await lab.namespaces('host');
    await host.ip('tuntap add d0 mode tun', 'link set d0 up', 'address add 192.0.2.1/24 dev d0');
    const show = async (what: string): Promise<string[]> => {
      const text = await host.run(['ip', ...what.split(' ')]);
      return text
        .split('\n')
        .map((line) => line.replaceAll(' linkdown', '').trim())
        .filter((line) => line !== '');
    };
    const rules = async (): Promise<string[]> =>
      [...(await show('rule')), ...(await show('-6 rule'))]
        .filter((line) => line.startsWith('2000'))
        .map((line) => line.replace(/\s+/g, ' '));
    const probe = host.start([process.execPath, PROBE]);
    const said = async (pattern: RegExp): Promise<unknown> =>
      JSON.parse((await probe.line(pattern, 20))[0]);

    expect(await said(/.*"read".*/)).toEqual({ put: 0, read: 2 });
    expect(await show('route show table 52000')).toEqual([
      '10.0.0.0/8 dev d0 proto 167 scope link mtu 1300',
      'throw 10.1.0.0/16 proto 167',
    ]);
    expect(await show('-6 route show table 52000')).toEqual([
      'fd01::/32 dev d0 proto 167 metric 1024 mtu lock 1310 pref medium',
      'default dev d0 proto 167 metric 1024 pref medium',
    ]);
    const ofOneFamily = [
      '20000: not from all fwmark 0x7 lookup 52000 suppress_prefixlength 0 proto 167',
      '20001: from all lookup main suppress_prefixlength 0 proto 167',
      '20002: not from all iif lo lookup 52000 proto 167',
      '20003: not from all iif lo lookup 52000 unreachable proto 167',
    ];
    expect(await rules()).toEqual([...ofOneFamily, ...ofOneFamily]);

    probe.write('\n');
    expect(await said(/.*"nowhere".*/)).toEqual({ put: 0, nowhere: 1, gone: 0 });
    expect(await show('route show table 52000')).toEqual([
      '10.0.0.0/8 dev d0 proto 167 scope link',
      '10.1.0.0/16 dev d0 proto 167 scope link',
    ]);
    expect(await show('-6 route show table 52000')).toEqual([
      'fd01::/32 dev d0 proto 167 metric 1024 mtu lock 1310 pref medium',
    ]);
    expect(await rules()).toEqual([]);

    // Of two routes by us, one by a tunnel, one by somebody else.
    probe.write('\n');
    expect(await said(/.*"not ours".*/)).toEqual({
      all: [2, 1, 1],
      'not ours': [0, 1, 1],
      "not tunnels'": [0, 0, 1],
    });
    probe.write('\n');
    expect(await probe.exited).toBe(0);
  });
});
