/** Which kernel settings are kept, on a host that changes, and beside another gateway. */
import { expect, test } from 'vitest';
import { HostSettings, type HostSource } from '../../../../src/gateway/mesh/host-settings.ts';
import { parsePrefix } from '../../../../src/routing/prefix.ts';

const SERVED = [parsePrefix('fd01::/64')!];
const ACCEPT = 'net/ipv6/conf/wan0/accept_ra';
const FORWARDING = 'net/ipv6/conf/all/forwarding';

/** A host with a way out `wan0` that has its route from advertisements, and a LAN. */
class Host implements HostSource {
  readonly settings = new Map([
    [FORWARDING, '0'],
    [ACCEPT, '1'],
    ['net/ipv6/conf/lan0/accept_ra', '0'],
    ['net/ipv6/conf/wan0/forwarding', '0'],
    ['net/ipv6/conf/lan0/forwarding', '0'],
  ]);
  others: readonly string[] = [];
  hasRoute = true;
  isBroken = false;

  read = async (path: string) => this.settings.get(path);
  isWritable = async () => true;
  keptByOthers = async () => new Set(this.others);

  links = async () =>
    ['wan0', 'lan0', 'mesh0'].map((name) => {
      return { name, up: true, carrier: true, mtu: 1_500, addresses: [] };
    });

  routes = async () => {
    if (this.isBroken) throw new Error('the table of processes is full');
    const from = { interfaceName: 'wan0', via: 'fe80::1', connected: false, advertised: true };
    return this.hasRoute ? [{ prefix: parsePrefix('::/0')!, ...from }] : [];
  };

  set(wanted: Readonly<Record<string, string>>): void {
    for (const [path, value] of Object.entries(wanted)) this.settings.set(path, value);
  }
}

test('a way out that is down is still one when it is up again', async () => {
  const host = new Host();
  const settings = new HostSettings('mesh0', true, host);
  const wanted = await settings.wanted(SERVED);
  expect(wanted).toEqual({ [ACCEPT]: '2', [FORWARDING]: '1' });
  host.set(wanted);
  host.hasRoute = false;
  settings.lookAgain();
  expect(await settings.wanted(SERVED)).toEqual(wanted);
});

test('a way out that comes later as well', async () => {
  const host = new Host();
  host.hasRoute = false;
  expect(await new HostSettings('mesh0', true, host).wanted(SERVED)).toHaveProperty([ACCEPT], '2');
});

test('a look that fails forgets nothing', async () => {
  const host = new Host();
  const settings = new HostSettings('mesh0', true, host);
  const wanted = await settings.wanted(SERVED);
  host.set(wanted);
  host.isBroken = true;
  settings.lookAgain();
  await expect(settings.wanted(SERVED)).rejects.toThrow();
  host.isBroken = false;
  expect(await settings.wanted(SERVED)).toEqual(wanted);
});

test('what another gateway has set is kept when that one ends', async () => {
  const host = new Host();
  const wanted = await new HostSettings('mesh1', true, host).wanted(SERVED);
  host.set(wanted);
  host.others = Object.keys(wanted);
  expect(await new HostSettings('mesh0', true, host).wanted(SERVED)).toEqual(wanted);
});

test('our own interface makes itself no link-local address, whatever else may be changed', async () => {
  const path = 'net/ipv6/conf/mesh0/addr_gen_mode';
  const host = new Host();
  host.settings.set(path, '3');
  expect(await new HostSettings('mesh0', false, host).wanted([])).toEqual({ [path]: '1' });
  host.settings.set(path, '1');
  expect(await new HostSettings('mesh0', false, host).wanted([])).toEqual({});
});

test('where the host forwards by itself, listening is left as it is', async () => {
  const host = new Host();
  host.settings.set(FORWARDING, '1');
  const wanted = await new HostSettings('mesh0', true, host).wanted(SERVED);
  expect(wanted).toEqual({ [FORWARDING]: '1' });
});
