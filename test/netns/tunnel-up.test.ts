/**
 * `connector tunnel up` and `down` from wg-quick files: what they add to the system, which way
 * packets go, and that nothing is left, whichever way it ends.
 *
 *        west                                                    east
 *   lan0 10.1.1.1/24                                      lan0 10.2.2.1/24
 *   10.77.0.1 cw-west ── eth0 192.0.2.1 ═ veth ═ 192.0.2.2 eth0 ── cw-east 10.77.0.2
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generateKeyPair } from '../../lab/keys.ts';
import { Lab } from '../../lab/lab.ts';
import { connect, type Namespace } from '../../lab/namespace.ts';
import { netnsSuite } from './suite.ts';

const CONNECTOR = join(import.meta.dirname, '../../bin/connector');

interface Site {
  readonly host: Namespace;
  readonly file: string;
  readonly name: string;
}

interface Options {
  readonly allowedIps: string;
  /** More lines of [Interface]. */
  readonly more?: string;
}

/** Links, addresses, rules, routes, filters and the one setting that we touch. */
async function stateOf(host: Namespace): Promise<string> {
  const commands = [
    'ls /sys/class/net',
    'ip -o address',
    'ip rule',
    'ip -6 rule',
    'ip route show table all',
    'ip -6 route show table all',
    'nft list ruleset',
    'sysctl net.ipv4.conf.all.src_valid_mark',
  ];
  const outputs = await Promise.all(commands.map((command) => host.run(command.split(' '))));
  // What the kernel does by itself after a link came up.
  return outputs.join('\n').replaceAll(/^.*(fe80:|multicast ff00::).*\n/gm, '');
}

async function sites(lab: Lab, west: Options, east: Options): Promise<[Site, Site]> {
  const [a, b] = await lab.namespaces('west', 'east');
  await connect(
    { namespace: a, link: 'eth0', addresses: ['192.0.2.1/24'] },
    { namespace: b, link: 'eth0', addresses: ['192.0.2.2/24'] },
  );
  const keys = [generateKeyPair(), generateKeyPair()] as const;
  const make = async (host: Namespace, index: 0 | 1, options: Options): Promise<Site> => {
    const name = `cw-${host.label}`;
    await host.ip(
      'link add lan0 type veth peer name lan1',
      'link set lan0 addrgenmode none',
      'link set lan1 addrgenmode none',
      `address add 10.${index + 1}.${index + 1}.1/24 dev lan0`,
      'link set lan0 up',
      'link set lan1 up',
    );
    const text = [
      '[Interface]',
      `PrivateKey = ${keys[index].privateKey}`,
      'ListenPort = 51820',
      `Address = 10.77.0.${index + 1}/24, fd77::${index + 1}/64`,
      options.more ?? '',
      '[Peer]',
      `PublicKey = ${keys[1 - index]!.publicKey}`,
      `AllowedIPs = ${options.allowedIps}`,
      `Endpoint = 192.0.2.${2 - index}:51820`,
    ];
    return { host, name, file: host.file(`${name}.conf`, text.join('\n')) };
  };
  return [await make(a, 0, west), await make(b, 1, east)];
}

const up = (site: Site): Promise<string> => site.host.run([CONNECTOR, 'tunnel', 'up', site.file]);
const down = (site: Site): Promise<string> =>
  site.host.run([CONNECTOR, 'tunnel', 'down', site.file]);
const ping = (site: Site, ...args: string[]): Promise<string> =>
  site.host.run(['ping', '-c', '1', '-W', '5', ...args]);

interface Status {
  readonly pid: number;
}
async function pidOf(site: Site): Promise<number> {
  const text = await site.host.run([CONNECTOR, 'tunnel', 'status', site.name, '--json']);
  return (JSON.parse(text) as [Status])[0].pid;
}

/** Waits for the end of a process that is not our child. */
async function gone(pid: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    if (Date.now() > deadline) throw new Error(`process ${pid} has not ended`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

netnsSuite('connector tunnel', ['nft', 'sysctl', 'ncat', 'ss'], () => {
  test('subnets: traffic both ways, IPv4 and IPv6; the way of each destination', async () => {
    await using lab = new Lab();
    const [west, east] = await sites(
      lab,
      { allowedIps: '10.77.0.2/32, fd77::2/128, 10.0.0.0/8' },
      { allowedIps: '10.77.0.1/32, fd77::1/128, 10.1.1.0/24' },
    );
    const before = await Promise.all([stateOf(west.host), stateOf(east.host)]);
    await Promise.all([up(west), up(east)]);
    await ping(west, '10.77.0.2');
    await ping(east, 'fd77::1');
    await ping(west, '-I', '10.1.1.1', '10.2.2.1');
    const way = async (to: string): Promise<string> => {
      const { stdout } = await west.host.attempt(['ip', 'route', 'get', to]);
      return / dev (\S+)/.exec(stdout)?.[1] ?? 'none';
    };
    expect(await way('10.200.0.1')).toBe('cw-west');
    expect(await way('10.1.1.9')).toBe('lan0');
    expect(await way('192.0.2.2')).toBe('eth0');
    // A subnet that is connected while the tunnel is up becomes local within a moment.
    await west.host.ip(
      'link add lan2 type veth peer name lan3',
      'address add 10.66.0.1/24 dev lan2',
      'link set lan2 up',
    );
    const deadline = Date.now() + 5_000;
    while ((await way('10.66.0.9')) !== 'lan2' && Date.now() < deadline);
    expect(await way('10.66.0.9')).toBe('lan2');
    await west.host.ip('link delete lan2');
    while ((await way('10.66.0.9')) !== 'cw-west' && Date.now() < deadline);
    expect(await way('10.66.0.9')).toBe('cw-west');
    await Promise.all([down(west), down(east)]);
    expect(await Promise.all([stateOf(west.host), stateOf(east.host)])).toEqual(before);
  });

  test('everything: a default route, its own datagrams beside it, a shielded address', async () => {
    await using lab = new Lab();
    const [west, east] = await sites(
      lab,
      { allowedIps: '0.0.0.0/0, ::/0', more: 'MTU = 1400' },
      { allowedIps: '10.77.0.1/32, fd77::1/128' },
    );
    await west.host.ip('route add default via 192.0.2.2');
    const before = await stateOf(west.host);
    await Promise.all([up(west), up(east)]);
    await ping(west, '10.77.0.2');
    await ping(west, 'fd77::2');
    const route = await west.host.run(['ip', 'route', 'get', '198.51.100.1']);
    expect(route).toContain('dev cw-west');
    const status = await west.host.run(['wg', 'show', 'cw-west', 'fwmark']);
    const marked = ['ip', 'route', 'get', '198.51.100.1', 'mark', status.trim()];
    expect(await west.host.run(marked)).toContain('dev eth0');
    const rules = await west.host.run(['nft', 'list', 'table', 'inet', 'causeway-cw-west']);
    expect(rules).toContain('iifname != "cw-west" ip daddr 10.77.0.1 fib saddr type != local drop');
    expect(rules).toContain('maxseg size set 1360');
    expect(await west.host.run(['sysctl', '-n', 'net.ipv4.conf.all.src_valid_mark'])).toBe('1\n');
    await down(west);
    expect(await stateOf(west.host)).toBe(before);
    await down(east);
  });

  test('SIGTERM leaves nothing; kill -9 is cleaned up by the next start, or by down', async () => {
    await using lab = new Lab();
    const everything = { allowedIps: '0.0.0.0/0, ::/0' };
    const [west] = await sites(lab, everything, everything);
    const before = await stateOf(west.host);
    await up(west);
    let pid = await pidOf(west);
    process.kill(pid, 'SIGTERM');
    await gone(pid);
    expect(await stateOf(west.host)).toBe(before);

    await up(west);
    pid = await pidOf(west);
    const running = await stateOf(west.host);
    process.kill(pid, 'SIGKILL');
    await gone(pid);
    expect(await stateOf(west.host)).not.toBe(before);
    await up(west);
    const indexes = /^\d+: /gm;
    const again = await stateOf(west.host);
    expect(again.replaceAll(indexes, '')).toBe(running.replaceAll(indexes, ''));

    pid = await pidOf(west);
    process.kill(pid, 'SIGKILL');
    await gone(pid);
    await down(west);
    expect(await stateOf(west.host)).toBe(before);
  });

  test('a failure half-way leaves nothing: a port in use, a hook that fails', async () => {
    await using lab = new Lab();
    const trouble = { allowedIps: '10.9.0.0/16', more: 'PostUp = echo "no luck"; exit 3' };
    const [west, east] = await sites(lab, trouble, { allowedIps: '10.9.0.0/16' });
    const before = await Promise.all([stateOf(west.host), stateOf(east.host)]);
    const failed = await west.host.attempt([CONNECTOR, 'tunnel', 'up', west.file]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toBe(
      'connector: The PostUp command `echo "no luck"; exit 3` ended with code 3 (no luck). [COMMAND_FAILED]\n',
    );
    const busy = east.host.start(['ncat', '-u', '-l', '192.0.2.2', '51820']);
    const deadline = Date.now() + 5_000;
    while (!(await east.host.run(['ss', '-Huln'])).includes(':51820') && Date.now() < deadline);
    const refused = await east.host.attempt([CONNECTOR, 'tunnel', 'up', east.file]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/UDP port 51820 is in use.*\[PORT_IN_USE\]/);
    await busy.stop();
    expect(await Promise.all([stateOf(west.host), stateOf(east.host)])).toEqual(before);
  });

  test('a second start is refused and leaves the first alone; a connected subnet is reported; deleted, it ends', async () => {
    await using lab = new Lab();
    const overlap = { allowedIps: '10.1.1.0/24, 10.2.2.0/24' };
    const [west] = await sites(lab, overlap, overlap);
    const first = await west.host.attempt([CONNECTOR, 'tunnel', 'up', west.file]);
    expect(first.code).toBe(0);
    expect(first.stderr).toBe(
      'connector: warning: 10.1.1.0/24 does not go through the tunnel: 10.1.1.0/24 (connected to lan0) is local, and local wins.\n',
    );
    const state = await stateOf(west.host);
    const second = await west.host.attempt([CONNECTOR, 'tunnel', 'up', west.file]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/cw-west exists already.*\[INTERFACE_EXISTS\]/);
    expect(await stateOf(west.host)).toBe(state);
    await down(west);

    // Deleted by somebody, it ends at once: nothing is tried on what is not there.
    const daemon = west.host.start([CONNECTOR, 'tunnel', 'up', '--foreground', west.file]);
    await daemon.line(/"msg":"ready"/);
    await west.host.ip(`link delete ${west.name}`);
    expect(await daemon.exited).toBe(1);
    expect(daemon.lines.at(-1)).toMatch(/cw-west was deleted.*\[INTERFACE_REMOVED\]$/);
    const errors = daemon.lines.filter((line) => line.startsWith('{"level":50'));
    expect(errors).toEqual([expect.stringContaining('"msg":"ending"')]);
  });

  test('hooks run in order with the interface’s name; SaveConfig writes what is', async () => {
    await using lab = new Lab();
    const options = { allowedIps: '10.9.0.0/16' };
    const hooks = ['PreUp', 'PostUp', 'PreDown', 'PostDown'];
    const [west] = await sites(lab, options, options);
    const journal = west.host.file('journal', '');
    const lines = hooks.map(
      (hook) => `${hook} = echo ${hook} %i $(ip -br link show %i | wc -l) >> ${journal} # 1`,
    );
    const { readFileSync, writeFileSync } = await import('node:fs');
    const text = readFileSync(west.file, 'utf8');
    writeFileSync(
      west.file,
      text.replace('[Interface]', ['[Interface]', 'SaveConfig = true', ...lines].join('\n')),
    );
    await up(west);
    await west.host.run(['wg', 'set', west.name, 'listen-port', '4711']);
    await west.host.ip(`address add 10.78.0.1/24 dev ${west.name}`);
    await down(west);
    expect(readFileSync(journal, 'utf8').trim().split('\n')).toEqual([
      'PreUp cw-west 1',
      'PostUp cw-west 1',
      'PreDown cw-west 1',
      'PostDown cw-west 0',
    ]);
    const saved = readFileSync(west.file, 'utf8');
    expect(saved).toContain('ListenPort = 4711');
    expect(saved).toContain('Address = 10.78.0.1/24');
    expect(saved).toContain(lines[0]);
    expect(saved).not.toContain('FwMark');
    await up(west);
    expect(await west.host.run(['wg', 'show', west.name, 'listen-port'])).toBe('4711\n');
    await down(west);
  });
});
