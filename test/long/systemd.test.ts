/**
 * The Debian package on a system with systemd (lab/systemd-container.ts): an edge and a gateway as
 * services that no root runs, from installation to removal.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../lab/process.ts';
import { SystemdContainer } from '../../lab/systemd-container.ts';

const SCRIPT = join(import.meta.dirname, '../../scripts/package.ts');
const lack = await SystemdContainer.lack();
const GATEWAY = 'causeway-gateway.service';

describe.skipIf(lack)(lack ? `under systemd (skipped: ${lack})` : 'under systemd', () => {
  test('a life of the package and its services', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'package-'));
    try {
      const command = [process.execPath, SCRIPT, '--fast', '--output', folder];
      const deb = (await run(command, { seconds: 300 })).trim();
      await using container = await SystemdContainer.boot();
      await live(container, readFileSync(deb));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

async function live(container: SystemdContainer, deb: Uint8Array): Promise<void> {
  const shell = (text: string, input?: Uint8Array): Promise<string> =>
    container.run(['sh', '-ec', text], { seconds: 120, ...(input && { input }) });
  const property = async (name: string, unit = GATEWAY): Promise<string> =>
    (await container.run(['systemctl', 'show', '--value', `--property=${name}`, unit])).trim();
  /** Of the gateway, once it is so. */
  const becomes = (name: string, value: string): Promise<void> =>
    expect.poll(() => property(name), { timeout: 60_000, interval: 200 }).toBe(value);

  // What other runs of this machine left would be in the way.
  await shell('rm -rf /etc/causeway /var/lib/causeway* /var/log/causeway /run/causeway');
  await shell('rm -f /etc/default/causeway-edge');
  await shell('cat > /root/causeway.deb && dpkg --install /root/causeway.deb', deb);
  expect(await property('UnitFileState')).toBe('disabled');
  expect(await property('ActiveState')).toBe('inactive');

  await shell(`echo 'EDGE_OPTIONS="--public 127.0.0.1"' > /etc/default/causeway-edge`);
  await shell('connector service install --edge --now');
  expect(await property('StatusText', 'causeway-edge.service')).toBe('0 of 0 gateways bound');
  await shell('umask 077; connector create berlin > /etc/causeway/token');
  expect(await shell('connector service install --now; connector service status')).toMatch(
    /state: +active/,
  );
  expect(await shell('connector status')).toMatch(/connector: +berlin/);
  const pid = await property('MainPID');
  const status = await shell(`cat /proc/${pid}/status`);
  expect(/^Uid:\t(\d+)/m.exec(status)![1]).not.toBe('0');
  // CAP_NET_BIND_SERVICE and CAP_NET_ADMIN.
  for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) {
    expect(status).toContain(`Cap${set}:\t0000000000001400\n`);
  }

  // Reloaded, it advertises; approved, it forwards.
  await shell(`echo 'advertise = ["10.9.0.0/16"]' >> /etc/causeway/connector.toml`);
  await shell(`echo 'flow-log = "/var/log/causeway/flows.jsonl"' >> /etc/causeway/connector.toml`);
  await shell(`systemctl reload ${GATEWAY}`);
  await expect.poll(() => shell('connector routes ls'), { timeout: 30_000 }).toContain('pending');
  await shell('connector routes approve --all --connector berlin');
  const forwarding = (): Promise<string> => shell('cat /proc/sys/net/ipv4/ip_forward');
  await expect.poll(forwarding, { timeout: 30_000 }).toBe('1\n');
  expect(await property('MainPID')).toBe(pid);
  // Without root it may have connections tracked, counted and written down.
  const counting = 'cat /proc/sys/net/netfilter/nf_conntrack_acct';
  await expect.poll(() => shell(counting), { timeout: 30_000 }).toBe('1\n');
  const [{ flows }] = JSON.parse(await shell('connector status --json'));
  expect(flows).toMatchObject({ fault: null, log: { fault: null, lost: 0 } });
  expect(await shell('stat -c %a /var/log/private/causeway')).toBe('700\n');

  // A start without the token file, a process that hangs, an update.
  await shell(`rm /etc/causeway/token; systemctl restart ${GATEWAY}`);
  const health = (): Promise<string> => shell('connector show berlin');
  await expect.poll(health, { timeout: 30_000 }).toContain('HEALTHY');
  const directory = `/etc/systemd/system/${GATEWAY}.d`;
  await shell(`mkdir ${directory}; printf '[Service]\\nWatchdogSec=3\\n' > ${directory}/w.conf`);
  await shell(`systemctl daemon-reload; systemctl restart ${GATEWAY}`);
  await shell(`kill -STOP ${await property('MainPID')}`);
  await becomes('NRestarts', '1');
  await becomes('ActiveState', 'active');
  await shell(`rm -r ${directory}`);
  const running = await property('MainPID');
  await shell('dpkg --install /root/causeway.deb');
  await becomes('ActiveState', 'active');
  expect(await property('MainPID')).not.toBe(running);

  // `down` is an end, and it stays one.
  await shell('connector down');
  await becomes('ActiveState', 'inactive');
  expect(await property('Result')).toBe('success');
  await expect.poll(health, { timeout: 30_000 }).toMatch(/DOWN.*stopped on its host/s);
  await shell('dpkg --purge causeway');
  expect(await shell('systemctl list-units --all --no-legend "causeway*"')).toBe('');
  const left = await shell(
    'find /etc /usr /lib/ /opt -xdev -iname "*causeway*" -not -path "/usr/src/*"',
  );
  expect(left.trim().split('\n').toSorted()).toEqual([
    // With what the operator wrote.
    '/etc/default/causeway-edge',
  ]);
}
