/**
 * Policies in force on real packets: two sites behind their gateways and an edge (lab/mesh-lab.ts).
 *
 *   host a ── gateway a ── nat ── internet ── nat ── gateway b ── host b
 *   10.1.0.10                        │                          10.2.0.10
 *                                  edge
 *
 * One mesh from the first test to the last: each puts its own policy into force.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { CONNECTOR, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { isSilent, reach } from '../../lab/ping.ts';
import type { Process } from '../../lab/process.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { networkState } from './network-state.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;
const SECONDS = 120_000;

const OFFICE_TO_PLANT = `{
  "default": "deny",
  "rules": [
    { "action": "allow", "from": "a", "to": "b", "protocol": "tcp", "ports": [7, "8000-8010"] },
    { "action": "allow", "protocol": "icmp", "icmp": "echo-request" },
  ],
  "tests": [
    { "from": "10.1.0.10", "to": "10.2.0.10", "protocol": "tcp", "port": 7, "expect": "allow" },
    { "from": "10.2.0.10", "to": "10.1.0.10", "protocol": "tcp", "port": 7, "expect": "deny" },
  ],
}`;

/** Sets a policy; its version. */
async function setPolicy(mesh: MeshLab, text: string): Promise<number> {
  const file = mesh.edge.file('policy.json', text);
  const answer = await mesh.connector('policy', 'set', file, '--json');
  return (JSON.parse(answer) as { version: number }).version;
}

async function statusOf(site: Site): Promise<MeshStatus> {
  return (await site.status()) as unknown as MeshStatus;
}

/** Both gateways enforce this version. */
async function enforced(mesh: MeshLab, version: number): Promise<void> {
  for (const site of mesh.sites) {
    const holds = async (): Promise<boolean> => (await statusOf(site)).policy?.version === version;
    await eventually(holds, `${site.name} enforces version ${version}`);
  }
}

/** Whether a UDP datagram to the host is answered by its service. */
async function answersUdp(from: Site, to: Site, family: 4 | 6): Promise<boolean> {
  const client = new ServiceClient(from.host, to.address[family], PORT);
  return client.datagrams(64).then(
    () => true,
    () => false,
  );
}

/** Whether a TCP connection to the host opens within a second. */
async function opensTcp(from: Site, to: Site, family: 4 | 6): Promise<boolean> {
  const connect = `exec 3<>/dev/tcp/${to.address[family]}/${PORT}`;
  return (await from.host.attempt(['timeout', '1', 'bash', '-c', connect])).code === 0;
}

let lines = 0;
/** What is written to a connection comes back. */
async function echoes(stream: Process, seconds = 20): Promise<void> {
  const line = `line ${++lines}`;
  const back = stream.nextLine(new RegExp(`^${line}$`), seconds);
  stream.write(`${line}\n`);
  await back;
}

netnsSuite('policy', ['nft', 'bash'], () => {
  let mesh: MeshLab;
  let a: Site;
  let b: Site;
  /** Of the gateway of a, before anything of ours ran there. */
  let untouched: string;
  beforeAll(async () => {
    mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    [a, b] = mesh.sites as [Site, Site];
    untouched = await networkState(a.gateway);
    await Promise.all([mesh.startEdge(), ...[a, b].map(({ host }) => startService(host, PORT))]);
    await mesh.joinAll();
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  test('allows, denies and lets answers through, with true sources', {
    timeout: SECONDS,
  }, async () => {
    await reach(a.host, b.address[4]);
    expect(await opensTcp(b, a, 4)).toBe(true);
    expect((await statusOf(a)).policy).toBeNull();

    await enforced(mesh, await setPolicy(mesh, OFFICE_TO_PLANT));
    for (const family of [4, 6] as const) {
      const there = new ServiceClient(a.host, b.address[family], PORT);
      expect((await there.who('tcp')).from).toBe(a.address[family]);
      await there.echo(1_000_000);
      await reach(b.host, a.address[family]);
      expect(await opensTcp(b, a, family)).toBe(false);
      expect(await answersUdp(a, b, family)).toBe(false);
    }
    // Errors about an allowed flow belong to it: the path's MTU is found.
    const more = ['-c', '2', '-W', '2', '-M', 'do', '-s', '1400', b.address[4]];
    expect((await a.host.attempt(['ping', ...more])).stdout).toMatch(/mtu ?[=:] ?1420/);

    const { policy, problems } = await statusOf(b);
    expect(problems).toEqual([]);
    expect(policy).toMatchObject({ default: 'deny', rules: 2 });
    expect(policy!.counters.denied).toBeGreaterThan(0);
    const flow = { source: b.address[4], destination: a.address[4], protocol: 'tcp', port: PORT };
    expect(policy!.recent).toContainEqual(expect.objectContaining({ ...flow, rule: null }));
    const explained = await mesh.connector('policy', 'explain', 'b', a.address[4], 'tcp', '7');
    expect(explained).toMatch(/verdict: +deny\n/);

    await a.down();
    expect(await networkState(a.gateway)).toBe(untouched);
    await a.up();
    await reach(a.host, b.address[4]);
  });

  test('a change is in force at once, also for what is open', { timeout: SECONDS }, async () => {
    const stream = new ServiceClient(a.host, b.address[4], PORT).stream();
    await stream.line(/from/);
    const first = await setPolicy(mesh, OFFICE_TO_PLANT);
    await enforced(mesh, first);
    await echoes(stream);
    // Other rules, and the connection goes on.
    const other = OFFICE_TO_PLANT.replace('[7, "8000-8010"]', '7').replace(
      '"rules": [',
      '"rules": [ { "action": "deny", "from": "10.1.0.0/24", "protocol": "tcp", "ports": 22 }, { "action": "log", "to": "b" },',
    );
    await enforced(mesh, await setPolicy(mesh, other));
    await echoes(stream);
    // Denied: neither new nor open connections pass.
    const none = '{ "default": "deny", "rules": [{ "action": "allow", "protocol": "icmp" }] }';
    const denying = await setPolicy(mesh, none);
    await enforced(mesh, denying);
    expect(await opensTcp(a, b, 4)).toBe(false);
    await expect(echoes(stream, 2)).rejects.toThrow();
    expect(await isSilent(a.host, b.address[4])).toBe(false);
    await mesh.connector('policy', 'rollback', `${first}`);
    await enforced(mesh, denying + 1);
    // What was lost meanwhile is sent again.
    await stream.line(new RegExp(`^line ${lines}$`), 20);
    await echoes(stream);
    // A gateway that starts from its cache enforces before anything passes.
    await b.down();
    await b.up();
    expect((await statusOf(b)).policy).toMatchObject({ version: denying + 1 });
    expect(await opensTcp(b, a, 4)).toBe(false);
    expect(await opensTcp(a, b, 4)).toBe(true);
  });

  test('what the policy denies is logged with its true source', { timeout: SECONDS }, async () => {
    await b.down();
    const up = [CONNECTOR, 'up', '--foreground', '--state-dir', b.stateDirectory];
    const gateway = b.gateway.start(up, { LOG_LEVEL: 'info' });
    await gateway.line(/netmap in force/, 20);
    const version = await setPolicy(
      mesh,
      `{ "default": "allow", "rules": [
           { "action": "log", "to": "b", "protocol": "tcp" },
           { "action": "deny", "from": "b", "to": "10.1.0.0/24", "protocol": "udp", "ports": "1-100" },
         ] }`,
    );
    await enforced(mesh, version);
    await reach(a.host, b.address[4], 20);
    const denied = gateway.line(/^.*denied by the policy.*$/, 20);
    expect(await answersUdp(b, a, 4)).toBe(false);
    expect(JSON.parse((await denied)[0])).toMatchObject({
      ...{ source: b.address[4], destination: a.address[4], protocol: 'udp', port: PORT, rule: 2 },
    });
    const logged = gateway.line(/^.*logged by the policy.*$/, 20);
    expect(await opensTcp(a, b, 4)).toBe(true);
    expect(JSON.parse((await logged)[0])).toMatchObject({ source: a.address[4], rules: [1] });
    await gateway.stop();
    await b.up();
  });

  test('without nft a gateway under a policy lets nothing pass', { timeout: SECONDS }, async () => {
    await reach(a.host, b.address[4]);
    await enforced(mesh, await setPolicy(mesh, OFFICE_TO_PLANT));
    await b.down();
    const up = `mount --bind /bin/false /usr/sbin/nft && exec ${CONNECTOR} up --state-dir ${b.stateDirectory}`;
    await b.gateway.run(['sh', '-c', up]);
    const { policy, peers, problems } = await statusOf(b);
    expect(policy).toBeNull();
    expect(peers.every(({ path }) => path.kind === 'none')).toBe(true);
    expect(problems.join()).toContain('nothing passes to or from other connectors');
    expect(await isSilent(a.host, b.address[4])).toBe(true);
    expect(await isSilent(b.host, a.address[4])).toBe(true);
    // Without a policy there is nothing to enforce; with one again, what is open ends.
    await setPolicy(mesh, '{ "default": "allow", "rules": [] }');
    await reach(a.host, b.address[4], 20);
    await setPolicy(mesh, OFFICE_TO_PLANT);
    await eventually(
      async () => (await statusOf(b)).problems.join().includes('nothing passes'),
      'closed',
    );
    expect(await isSilent(a.host, b.address[4])).toBe(true);
  });
});
