/**
 * packaging/Dockerfile: built by podman, and an edge and gateways in its containers
 * (lab/container-engine.ts, lab/mesh-lab.ts).
 *
 *   host a ── [gateway a] ── nat ── internet ── nat ── [gateway b] ── host b
 *   10.1.0.10                          │                             10.2.0.10
 *                                   [edge]
 */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ContainerEngine } from '../../lab/container-engine.ts';
import { EDGE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { reach } from '../../lab/ping.ts';
import { type Process, run } from '../../lab/process.ts';
import { packageVersion } from '../../src/cli/version.ts';

const ROOT = join(import.meta.dirname, '../..');
const IMAGE = 'causeway';
const TUN = ['--device', '/dev/net/tun'];
const ALLOWED = [...TUN, '--cap-add', 'NET_ADMIN'];
const lack = await ContainerEngine.lack();

let engine: ContainerEngine;
let mesh: MeshLab;
let a: Site;
let b: Site;
const settings = new Map<Site, string[]>();

/** Where the container of a site has its configuration, its state, and its notes of what it added. */
async function configure(site: Site): Promise<void> {
  const [prefix] = site.prefixes;
  const create = ['connector', 'create', site.name, '--auto-approve', prefix];
  const token = await engine.podman('exec', 'edge', ...create);
  const configuration = engine.volume();
  writeFileSync(join(configuration, 'token'), token, { mode: 0o600 });
  const lines = ['token-file = "/etc/causeway/token"', `advertise = ["${prefix}"]`];
  writeFileSync(join(configuration, 'connector.toml'), `${lines.join('\n')}\n`);
  settings.set(site, [
    ...['-v', `${configuration}:/etc/causeway:ro`],
    ...['-v', `${engine.volume()}:/var/lib/causeway`],
    ...['-v', `${engine.volume()}:/run/causeway`],
  ]);
}

async function start(site: Site): Promise<Process> {
  const options = [...ALLOWED, ...settings.get(site)!, '--name', site.name];
  const gateway = engine.start(site.gateway, ...options, IMAGE);
  await gateway.line(/"msg":"ready"/, 30);
  return gateway;
}

describe.skipIf(lack)(lack ? `a container (skipped: ${lack})` : 'a container', () => {
  beforeAll(async () => {
    engine = ContainerEngine.open();
    const folder = engine.volume();
    const script = join(ROOT, 'scripts/package.ts');
    const build = [process.execPath, script, '--fast', '--output', folder];
    await run(build, { seconds: 300 });
    copyFileSync(join(ROOT, 'packaging/Dockerfile'), join(folder, 'Dockerfile'));
    await engine.makeBase();
    await engine.build(folder, IMAGE);
    mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    [a, b] = mesh.sites as [Site, Site];
    const data = ['-v', `${engine.volume()}:/var/lib/causeway-edge`, '--name', 'edge'];
    const edge = engine.start(mesh.edge, ...data, IMAGE, 'edge', 'run', '--public', EDGE[4]);
    await edge.line(/"msg":"the edge is up"/, 30);
    for (const site of [a, b]) {
      await site.gateway.forward();
      await configure(site);
    }
  });
  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
    await mesh?.[Symbol.asyncDispose]();
  });

  test('has the version of the checkout, and is told what it lacks', async () => {
    const { stdout } = await engine.attempt(a.gateway, IMAGE, '--version');
    expect(stdout).toBe(`${packageVersion()}\n`);
    const nobody = await engine.attempt(a.gateway, IMAGE);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('[NOT_ENROLLED]')]);
    const own = settings.get(a)!;
    const noDevice = await engine.attempt(a.gateway, ...own, IMAGE);
    expect([noDevice.code, noDevice.stderr]).toEqual([
      1,
      expect.stringContaining('--device /dev/net/tun'),
    ]);
    const noCapability = await engine.attempt(a.gateway, ...own, ...TUN, IMAGE);
    expect([noCapability.code, noCapability.stderr]).toEqual([
      1,
      expect.stringContaining('CAP_NET_ADMIN'),
    ]);
    await a.gateway.sysctl({ 'net.ipv4.ip_forward': 0 });
    const noForwarding = await engine.attempt(a.gateway, ...own, ...ALLOWED, IMAGE);
    expect([noForwarding.code, noForwarding.stderr]).toEqual([
      1,
      expect.stringContaining('--sysctl net.ipv4.ip_forward=1'),
    ]);
    await a.gateway.forward();
  });

  test('joins, forwards, outlives a kill, and leaves nothing at its end', async () => {
    const before = await state();
    const [atA] = await Promise.all([start(a), start(b)]);
    await reach(a.host, b.address[4]);
    const doctor = await engine.podman('exec', 'b', 'connector', 'doctor');
    expect(doctor).toContain('Nothing is wrong.');
    const pinged = await engine.podman('exec', 'b', 'connector', 'ping', '-c', '1', 'a');
    expect(pinged).toContain(' 0% packet loss');

    await engine.podman('kill', '--signal', 'KILL', 'a');
    await atA.exited;
    expect(await state()).not.toBe(before);
    const again = await start(a);
    expect(again.lines.join()).toContain('removed what a killed predecessor left');
    await reach(a.host, b.address[4]);
    await engine.podman('stop', '--time', '10', 'a');
    expect(await again.exited).toBe(0);
    expect(await state()).toBe(before);
  });

  /** What a gateway adds to a host, at site a. */
  async function state(): Promise<string> {
    const show = 'ip rule; ip -6 rule; ip route show table all; nft list ruleset';
    return a.gateway.run(['sh', '-c', show]);
  }
});
