/**
 * `connector routes explain` over two sites and an edge (lab/mesh-lab.ts): all is well; then one thing after
 * the other is broken, just that step fails, and what it says to do heals it.
 *
 *   host a ── gateway a ── nat ── internet ── nat ── gateway b ── host b
 *   10.1.0.10                        │                          10.2.0.10
 *   10.1.9.10                      edge
 */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isShut, opens } from '../../lab/connect.ts';
import { CONNECTOR, INTERFACE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import type { Namespace } from '../../lab/namespace.ts';
import { reach } from '../../lab/ping.ts';
import { DIAGNOSIS_PORT } from '../../src/gateway/diagnosis/port.ts';
import type { Explanation, Step } from '../../src/gateway/explain/explanation.ts';
import { requestExplanation } from '../../src/gateway/local-client.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { netnsSuite } from './suite.ts';

const SOURCE = '10.1.0.10';
const DESTINATION = '10.2.0.10';
const WAITING = '10.1.9.10';

/** Asks the gateway by its socket, as the command does. */
async function explain(site: Site, source: string, destination: string, service: object = {}) {
  const root = join(site.gateway.folder, 'causeway');
  const directories = readdirSync(root).map((name) => join(root, name));
  const question = { source, destination, ...service };
  for (;;) {
    const explanation = await requestExplanation(INTERFACE, question, directories);
    if (explanation === undefined) throw new Error(`no gateway runs at ${site.name}`);
    // More questions than a person has: what the far side says then is to ask again.
    if (!explanation.steps.some(({ text }) => text === 'It is asked too often.'))
      return explanation;
    await delay(1_000);
  }
}

/** `forwarding at b`, of the steps that failed. */
function failed({ steps }: Explanation): string[] {
  return steps.flatMap(({ step, at, state }) => (state === 'failed' ? `${step} at ${at}` : []));
}

function stepOf({ steps }: Explanation, step: string, at: string): Step {
  const found = steps.find((one) => one.step === step && one.at === at);
  if (found === undefined) throw new Error(`no step ${step} at ${at}`);
  return found;
}

/** Asks until it is so: a gateway hears of its kernel and its edge a moment later. */
async function explains(site: Site, wanted: readonly string[], from = SOURCE, to = DESTINATION) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const explanation = await explain(site, from, to);
    if (failed(explanation).join() === wanted.join()) return explanation;
    if (Date.now() > deadline) expect(explanation.steps).toEqual(wanted);
    await delay(100);
  }
}

/** Does what the steps that failed say, where they say it. */
async function follow(mesh: MeshLab, explanation: Explanation, ...more: string[]): Promise<void> {
  for (const { state, remedy } of explanation.steps) {
    if (state !== 'failed' || remedy === null) continue;
    const where: Namespace = remedy.at === 'edge' ? mesh.edge : mesh.site(remedy.at!).gateway;
    const path = `PATH=${dirname(CONNECTOR)}:$PATH CAUSEWAY_EDGE=${mesh.dataDirectory}`;
    for (const command of remedy.commands) {
      await where.run(['sh', '-c', `${path} ${[command, ...more].join(' ')}`]);
    }
  }
}

interface Fault {
  readonly what: string;
  readonly steps: readonly string[];
  readonly flow?: readonly [string, string];
  readonly break: (mesh: MeshLab) => Promise<void>;
  /** After the remedy, what the test itself has to put back. */
  readonly tidy?: (mesh: MeshLab) => Promise<void>;
}

const b = (mesh: MeshLab): Namespace => mesh.site('b').gateway;
const FAULTS: readonly Fault[] = [
  {
    what: 'forwarding is off at the far side',
    steps: ['forwarding at b'],
    break: (mesh) => b(mesh).sysctl({ 'net.ipv4.ip_forward': 0 }),
  },
  {
    what: 'the same for IPv6',
    steps: ['forwarding at b'],
    flow: ['fd01::10', 'fd02::10'],
    break: (mesh) => b(mesh).sysctl({ 'net.ipv6.conf.all.forwarding': 0 }),
  },
  {
    what: 'a firewall of the far side drops what it does not know',
    steps: ['firewall at b'],
    break: (mesh) =>
      b(mesh).nft(`table inet filter {
        chain forward { type filter hook forward priority 0; policy drop; }
      }`),
    tidy: (mesh) => b(mesh).nft('delete table inet filter'),
  },
  {
    what: 'the way back does not go into the mesh',
    steps: ['return route at b'],
    break: (mesh) => b(mesh).ip('route add 10.1.0.0/25 via 192.168.2.1 dev wan0'),
  },
  {
    what: 'rp_filter is strict where the way out is not the way in',
    steps: ['rp_filter at b', 'destination at b'],
    break: async (mesh) => {
      await b(mesh).ip(`route add ${DESTINATION}/32 via 192.168.2.1 dev wan0`);
      await b(mesh).sysctl({ 'net.ipv4.conf.lan0.rp_filter': 1 });
    },
  },
  {
    what: 'the interface of the far LAN is down',
    steps: ['destination at b'],
    break: (mesh) => b(mesh).ip('link set lan0 down'),
  },
];

const MESH_B = '100.96.0.2';

/** What comes back when a question is put there by hand. */
async function put(from: Namespace, source: string, destination: string): Promise<string> {
  const body = JSON.stringify({ source, destination, protocol: 1, port: 8 });
  const request = `POST /v1/flow-facts HTTP/1.1\\r\\nhost: b\\r\\ncontent-length: ${body.length}\\r\\n\\r\\n`;
  const speak = `exec 3<>/dev/tcp/${MESH_B}/${DIAGNOSIS_PORT}; printf '${request}%s' '${body}' >&3; cat <&3`;
  return (await from.attempt(['timeout', '10', 'bash', '-c', speak])).stdout;
}

/** Who may ask, and about what, on the real addresses. */
async function strangers(a: Site, b: Site): Promise<void> {
  expect((await a.status()).peers[0]?.mesh.ipv4).toBe(MESH_B);
  const [asked, third, own] = await Promise.all([
    put(a.gateway, SOURCE, DESTINATION),
    // About a site that is not the asker's, and about a host of its own.
    put(a.gateway, '10.7.0.10', DESTINATION),
    put(a.gateway, SOURCE, '10.7.0.10'),
  ]);
  expect(asked).toContain('{"facts":{"connector":"b"');
  expect(third).toContain('{"refused":"not-yours"');
  expect(own).toContain('{"refused":"not-ours"');
  // Hosts, of the asked site and of the asker's, do not even reach it; the gateway itself does.
  for (const host of [b.host, a.host])
    expect(await isShut(host, MESH_B, DIAGNOSIS_PORT)).toBe(true);
  await b.nat.ip(`route add ${MESH_B}/32 via 192.168.2.2`);
  expect(await isShut(b.nat, MESH_B, DIAGNOSIS_PORT)).toBe(true);
  expect(await opens(b.gateway, MESH_B, DIAGNOSIS_PORT)).toBe(true);
  const { diagnosis } = (await b.status()) as unknown as MeshStatus;
  // That one is nobody in the netmap.
  expect(diagnosis).toMatchObject({ stranger: 1, wrong: 0, limited: 0, fault: null });
  // On the addresses of its LAN and its way out nobody listens.
  expect(await isShut(b.host, '10.2.0.1', DIAGNOSIS_PORT)).toBe(true);
  expect(await isShut(b.nat, '192.168.2.2', DIAGNOSIS_PORT)).toBe(true);
}

netnsSuite('routes explain', ['nft', 'bash'], () => {
  test('both gateways, every fault, and its remedy', { timeout: 120_000 }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    await mesh.startEdge();
    const [siteA, siteB] = mesh.sites as [Site, Site];
    await siteA.host.ip('address add 10.1.9.10/24 dev eth0');
    await siteA.gateway.ip('address add 10.1.9.1/24 dev lan0');
    const tokens = [await mesh.create(siteA), await mesh.create(siteB)] as const;
    await Promise.all([
      siteA.up('--token', tokens[0], '--advertise', '10.1.9.0/24'),
      // Otherwise it would put right by itself what is broken here.
      siteB.up('--token', tokens[1], '--no-forwarding'),
    ]);
    await siteB.gateway.forward();
    await reach(siteA.host, DESTINATION);

    const steps = [
      ...['source at a', 'forwarding at a', 'rp_filter at a', 'firewall at a', 'route at a'],
      ...['policy at a', 'path at a', 'gateway at b', 'accept at b', 'policy at b'],
      ...['forwarding at b', 'rp_filter at b', 'firewall at b', 'destination at b'],
      ...['return route at b', 'return policy at b', 'return at a'],
    ];
    const names = ({ steps: all }: Explanation): string[] =>
      all.map(({ step, at }) => `${step} at ${at}`);
    const well = await explain(siteA, SOURCE, DESTINATION, { protocol: 'tcp', port: 22 });
    expect(well).toMatchObject({ ok: true, flow: `${SOURCE} → ${DESTINATION} tcp 22` });
    expect(names(well)).toEqual(steps);
    // From the other side: the same steps, but for who is asked.
    const mirror = await explain(siteB, SOURCE, DESTINATION);
    expect(mirror.ok).toBe(true);
    expect(
      names(mirror).filter((name) => !name.startsWith('gateway') && !name.startsWith('path')),
    ).toEqual(steps.filter((name) => !name.startsWith('gateway') && !name.startsWith('path')));
    // IPv6, and mesh IPs by the connectors' names.
    expect(failed(await explain(siteA, 'fd01::10', 'fd02::10'))).toEqual([]);
    expect(failed(await explain(siteA, 'a', 'b'))).toEqual([]);

    // The command: its exit code says whether all is well.
    const command = [CONNECTOR, 'routes', 'explain', SOURCE];
    const [good, bad] = await Promise.all([
      siteA.gateway.attempt([...command, DESTINATION, '--json']),
      siteA.gateway.attempt([...command, '10.99.0.1']),
    ]);
    expect(good.code).toBe(0);
    expect((JSON.parse(good.stdout) as Explanation).ok).toBe(true);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toContain('FAILED  route ');

    await strangers(siteA, siteB);

    // Addresses of nobody, of this site, of the others. Meanwhile b asks a, whose daemon is there, but not
    // its port.
    await siteA.gateway.nft(`table inet shut {
      chain input { type filter hook input priority 0; tcp dport ${DIAGNOSIS_PORT} drop; }
    }`);
    const [shut, ...others] = await Promise.all([
      explain(siteB, SOURCE, DESTINATION),
      explain(siteA, SOURCE, '10.99.0.1'),
      explain(siteA, SOURCE, '10.1.0.11'),
      explain(siteA, DESTINATION, '10.2.0.11'),
      explain(siteB, '10.99.0.1', DESTINATION),
      // Of the far site, and no host.
      explain(siteA, SOURCE, '10.2.0.99'),
    ]);
    expect(others.map((other) => failed(other).join())).toEqual([
      ...['route at a', 'here at a', 'here at a', 'accept at b,return route at b'],
      'destination at b',
    ]);
    expect(failed(shut)).toEqual(['gateway at a']);
    expect(stepOf(shut, 'gateway', 'a').text).toContain('Its daemon is there');
    await siteA.gateway.nft('delete table inet shut');

    for (const { what, steps: wanted, flow = [SOURCE, DESTINATION], ...fault } of FAULTS) {
      const { break: breakIt, tidy } = fault;
      await breakIt(mesh);
      const broken = await explains(siteA, wanted, ...flow);
      await follow(mesh, broken);
      await explains(siteA, [], ...flow);
      await reach(siteA.host, flow[1]).catch((error: unknown) => {
        throw new Error(what, { cause: error });
      });
      await tidy?.(mesh);
    }

    // A route that waits for approval: b does not know it as a's yet.
    const pending = await explains(siteA, ['source at a', 'gateway at b'], WAITING);
    expect(stepOf(pending, 'source', 'a').text).toContain('waits for approval');
    await follow(mesh, pending);
    await explains(siteA, [], WAITING);

    // The policy denies everything but GRE: the far side is asked all the same, and does not tell of what
    // the flow may not reach.
    const rules = (...first: string[]): string =>
      `{ "default": "deny", "rules": [${[...first, '{ "action": "allow", "protocol": "gre" }'].join()}] }`;
    const set = async (text: string): Promise<void> => {
      await mesh.connector('policy', 'set', mesh.edge.file('policy.json', text));
    };
    await set(rules());
    const denied = await explains(siteA, ['policy at a', 'policy at b']);
    const policy = stepOf(denied, 'policy', 'a');
    expect(policy.text).toBe('Version 1: no rule decides it and the default is deny.');
    expect(stepOf(denied, 'destination', 'b').state).toBe('unchecked');
    expect(JSON.stringify(denied)).not.toContain('lan0, and 10.2.0.10');
    const gre = await explain(siteA, SOURCE, DESTINATION, { protocol: 'gre' });
    expect(gre.steps.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(stepOf(gre, 'policy', 'b').text).toContain('rule 1 allows it: { "action": "allow"');
    const { policy: inForce } = (await siteB.status()) as unknown as MeshStatus;
    expect(inForce?.counters.diagnosis).toBeGreaterThan(0);
    // What is forwarded to that port is as denied as anything.
    expect(await isShut(siteA.host, MESH_B, DIAGNOSIS_PORT)).toBe(true);
    // The rule that it says to add.
    await set(rules(/add (\{.*?\}) to the rules/.exec(policy.remedy!.text)![1]!));
    await explains(siteA, []);
    await reach(siteA.host, DESTINATION);

    // A subnet of this host has the addresses of the far site.
    await siteA.gateway.ip('address add 10.2.0.77/24 dev lan0');
    const conflict = await explains(siteA, ['route at a']);
    expect(stepOf(conflict, 'route', 'a').text).toContain('a connected subnet wins');
    await siteA.gateway.ip('address del 10.2.0.77/24 dev lan0');
    await explains(siteA, []);

    // The far gateway does not run; then it does, and answers no questions.
    await siteB.down();
    const gone = await explain(siteA, SOURCE, DESTINATION);
    expect(failed(gone)).toEqual(['gateway at b']);
    const file = siteB.gateway.file('connector.toml', 'diagnosis = false\n');
    const options = ['--config', file, '--state-dir', siteB.stateDirectory, '--no-forwarding'];
    await follow(mesh, gone, ...options);
    await reach(siteA.host, DESTINATION, 20);
    const mute = await explain(siteA, SOURCE, DESTINATION);
    expect(failed(mute)).toEqual(['gateway at b']);
    expect(stepOf(mute, 'gateway', 'b').text).toContain('--no-diagnosis');
    // The policy denies that port as any other there, whoever listens; what b itself asks is answered.
    const listen = `require('net').createServer().listen(${DIAGNOSIS_PORT}, () => console.log('here'))`;
    const other = siteB.gateway.start([process.execPath, '-e', listen]);
    await other.line(/here/);
    expect(await opens(siteB.gateway, MESH_B, DIAGNOSIS_PORT)).toBe(true);
    expect(await isShut(siteA.gateway, MESH_B, DIAGNOSIS_PORT)).toBe(true);
    await explains(siteB, []);
    // So it does when it is told to answer, until it can.
    siteB.gateway.file('connector.toml', 'diagnosis = true\n');
    process.kill((await siteB.status()).pid, 'SIGHUP');
    const said = async (): Promise<string> => (await siteB.status()).problems.join();
    await expect.poll(said, { timeout: 20_000 }).toContain('EADDRINUSE');
    const closed = () => isShut(siteA.gateway, MESH_B, DIAGNOSIS_PORT);
    await expect.poll(closed, { timeout: 20_000 }).toBe(true);
    expect(await opens(siteB.gateway, MESH_B, DIAGNOSIS_PORT)).toBe(true);
    await other.stop('SIGTERM');
    await explains(siteA, []);
  });
});
