/** Policies through the API: what is kept, what is refused, who is told, and that it outlives a restart. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Netmap } from '../../../src/control/netmap.ts';
import { applyDelta } from '../../../src/control/netmap-delta.ts';
import { decodeDelta, decodeNetmap } from '../../../src/control/netmap-text.ts';
import { NO_POLICY } from '../../../src/control/policy/document.ts';
import {
  policyExplanationSchema,
  policyHistorySchema,
  policyTestResultsSchema,
  policyViewSchema,
} from '../../../src/control/policy-api.ts';
import { EdgeUnderTest, type Joined, until } from './edge-under-test.ts';
import { EventReader } from './event-reader.ts';

const PATH = '/v1/vnets/default/policy';
const ONLY_SSH = `{ "default": "deny", // all else
  "tags": { "sites": ["paris"] },
  "rules": [{ "action": "allow", "from": "berlin", "to": "tag:sites", "protocol": "tcp", "ports": 22 }],
  "tests": [{ "from": "10.1.0.7", "to": "paris", "protocol": "tcp", "port": 22, "expect": "allow" }],
}`;

let edge: EdgeUnderTest;
let berlin: Joined;
let paris: Joined;
let oslo: Joined;
beforeEach(async () => {
  edge = await EdgeUnderTest.start();
  berlin = await edge.join({ name: 'berlin', routes: ['10.1.0.0/16'] });
  paris = await edge.join({ name: 'paris', routes: ['10.2.0.0/16'] });
  oslo = await edge.join({ name: 'oslo', routes: ['10.3.0.0/16'] });
});
afterEach(() => edge.stop());

const put = (text: string, more: object = {}) =>
  edge.call('PUT', PATH, { local: true, body: { text, ...more } });

async function open(replica: Joined, lastEventId?: string): Promise<EventReader> {
  const response = await edge.open('GET', '/v1/netmap', {
    token: replica.credential,
    headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  });
  return new EventReader(response);
}

async function firstNetmap(reader: EventReader): Promise<Netmap> {
  const decoded = decodeNetmap(JSON.stringify((await reader.next())!.data));
  if (!decoded.ok) throw new Error(decoded.message);
  return decoded.value;
}

async function afterDelta(netmap: Netmap, reader: EventReader): Promise<Netmap> {
  const { event, data } = (await reader.next())!;
  expect(event).toBe('delta');
  const decoded = decodeDelta(JSON.stringify(data));
  if (!decoded.ok) throw new Error(decoded.message);
  return applyDelta(netmap, decoded.value);
}

test('a network without a policy has version 0, which allows everything', async () => {
  const policy = await edge.admin('GET', PATH, policyViewSchema);
  expect(policy).toMatchObject({ version: 0, default: 'allow', rules: 0, created: null });
  expect((await put(policy.text)).json).toMatchObject({ version: 1, default: 'allow' });
  const { event, data } = (await (await open(berlin)).next())!;
  expect(event).toBe('netmap');
  expect(data).not.toHaveProperty('policy');
});

test('versions: set, history, rollback, and only so many are kept', async () => {
  expect((await put(ONLY_SSH, { comment: 'first' })).json).toMatchObject({
    version: 1,
    default: 'deny',
    rules: 1,
    tests: 1,
    author: 'local',
    comment: 'first',
    text: ONLY_SSH,
  });
  // The same again is no new version.
  expect((await put(ONLY_SSH)).json).toMatchObject({ version: 1 });
  const open = ONLY_SSH.replace('"deny"', '"allow"');
  expect((await put(open, { expected: 0 })).json).toMatchObject({ code: 'POLICY_CHANGED' });
  expect((await put(open, { expected: 1 })).json).toMatchObject({ version: 2 });
  const back = await edge.admin('POST', `${PATH}/rollback`, policyViewSchema, { version: 1 });
  expect(back).toMatchObject({ version: 3, default: 'deny', comment: 'as version 1' });
  for (let i = 4; i <= 24; i++) await put(i % 2 === 0 ? open : ONLY_SSH);
  const { versions } = await edge.admin('GET', `${PATH}/history`, policyHistorySchema);
  expect(versions.map(({ version }) => version)).toEqual(
    Array.from({ length: 20 }, (_, i) => 24 - i),
  );
  const gone = { local: true, body: { version: 2 } };
  expect((await edge.call('POST', `${PATH}/rollback`, gone)).json).toMatchObject({
    code: 'NOT_FOUND',
  });
  const audit = readFileSync(join(edge.directory, 'audit.jsonl'), 'utf8');
  expect(audit).toContain('"action":"policy.create"');
});

test('a version that comes back means those whom it meant, not who has their names now', async () => {
  await put(ONLY_SSH);
  await put(ONLY_SSH.replace('"deny"', '"allow"'));
  await edge.call('PATCH', '/v1/connectors/paris', { local: true, body: { name: 'lyon' } });
  await edge.call('PATCH', '/v1/connectors/oslo', { local: true, body: { name: 'paris' } });
  const body = { version: 1 };
  await edge.admin('POST', `${PATH}/rollback`, policyViewSchema, body);
  const decides = async (to: string): Promise<string> => {
    const query = `source=10.1.0.7&destination=${to}&protocol=tcp&port=22`;
    return (await edge.admin('GET', `${PATH}/explain?${query}`, policyExplanationSchema)).verdict;
  };
  expect(await decides('10.2.0.7')).toBe('allow');
  expect(await decides('10.3.0.7')).toBe('deny');
  // One that is deleted has no heir.
  await put(NO_POLICY);
  expect((await edge.call('DELETE', '/v1/connectors/lyon', { local: true })).status).toBe(204);
  expect((await edge.call('POST', `${PATH}/rollback`, { local: true, body })).json).toMatchObject({
    code: 'POLICY_UNKNOWN',
  });
  expect(await decides('10.3.0.7')).toBe('allow');
});

test('what is refused changes nothing', async () => {
  await put(ONLY_SSH);
  const refused: readonly (readonly [string, number, string])[] = [
    ['{', 400, 'POLICY_SYNTAX'],
    [ONLY_SSH.replace('"berlin"', '"bonn"'), 400, 'POLICY_UNKNOWN'],
    [
      ONLY_SSH.replace('"rules": [', '"rules": [ { "action": "deny", "protocol": "tcp" },'),
      400,
      'POLICY_SHADOWED',
    ],
    [ONLY_SSH.replace('"ports": 22', '"ports": 23'), 409, 'POLICY_TESTS'],
    ['x'.repeat(180_001), 400, 'REQUEST_INVALID'],
  ];
  for (const [text, status, code] of refused) {
    const answer = await put(text);
    expect([answer.status, answer.json.code]).toEqual([status, code]);
  }
  expect((await edge.admin('GET', PATH, policyViewSchema)).version).toBe(1);
  const token = await edge.token('read-only');
  expect((await edge.call('PUT', PATH, { token, body: { text: ONLY_SSH } })).status).toBe(403);
  const body = { text: ONLY_SSH.replace('"ports": 22', '"ports": 23') };
  const tested = await edge.call('POST', `${PATH}/test`, { token, body });
  expect(policyTestResultsSchema.parse(tested.json)).toMatchObject({
    passed: false,
    results: [{ number: 1, flow: '10.1.0.7 → paris tcp 22', expect: 'allow', verdict: 'deny' }],
  });
});

test('a policy that cuts the operator off needs --force', async () => {
  const ssh = { source: '10.1.0.7', destination: '10.2.0.1', port: 22 };
  const none = '{ "default": "deny", "rules": [] }';
  const refused = await put(none, { connections: [ssh] });
  expect(refused.json).toMatchObject({ status: 409, code: 'POLICY_CUTS_OFF' });
  expect(refused.json.detail).toContain('10.1.0.7 → 10.2.0.1 tcp 22');
  // From outside of the mesh, or inside of one site, it is not the policy's business.
  const outside = [
    { ...ssh, source: '192.0.2.1' },
    { ...ssh, destination: '10.1.0.9' },
  ];
  expect((await put(none, { connections: outside })).status).toBe(200);
  // What was denied before is not cut.
  expect((await put(ONLY_SSH, { connections: [{ ...ssh, port: 80 }] })).status).toBe(200);
  expect((await put(none, { connections: [ssh] })).status).toBe(409);
  expect((await put(none, { connections: [ssh], force: true })).status).toBe(200);
});

test('explain says which rule decides, by addresses or names', async () => {
  await put(ONLY_SSH);
  const explain = async (query: string) =>
    policyExplanationSchema.parse(
      (await edge.call('GET', `${PATH}/explain?${query}`, { local: true })).json,
    );
  const allowed = await explain('source=berlin&destination=10.2.0.1&protocol=tcp&port=22');
  expect(allowed).toMatchObject({
    verdict: 'allow',
    rule: 1,
    sourceConnectors: ['berlin'],
    destinationConnectors: ['paris'],
    why: 'rule 1 allows it',
  });
  expect(JSON.parse(allowed.text!)).toMatchObject({ from: 'berlin', to: 'tag:sites' });
  expect(await explain('source=10.2.0.1&destination=192.0.2.9&protocol=icmp')).toMatchObject({
    verdict: 'deny',
    rule: null,
    destinationConnectors: [],
  });
  const wrong = 'source=10.2.0.1&destination=fd00::1&protocol=udp&port=1';
  const answer = await edge.call('GET', `${PATH}/explain?${wrong}`, { local: true });
  expect(answer.json).toMatchObject({ status: 400, code: 'POLICY_SYNTAX' });
});

test('connectors get it with the netmap, and only when it changed', async () => {
  const reader = await open(berlin);
  let netmap = await firstNetmap(reader);
  expect(netmap.policy).toBeUndefined();
  await put(ONLY_SSH);
  netmap = await afterDelta(netmap, reader);
  const side = { connectors: [], tags: ['sites'], prefixes: [] };
  expect(netmap.policy).toMatchObject({ version: 1, default: 'deny', rules: [{ to: side }] });
  // Another name for the same connector is no other policy.
  await edge.call('PATCH', '/v1/connectors/paris', { local: true, body: { name: 'lyon' } });
  const renamed = (await reader.next())!;
  expect(renamed.data).not.toHaveProperty('policy');
  const before = applyDelta(netmap, renamed.data);
  reader.close();
  await put('{ "default": "allow", "rules": [] }');
  const again = await open(berlin, renamed.id);
  netmap = await afterDelta(before, again);
  expect(netmap.policy).toBeUndefined();
  again.close();
});

test('the relay is told which pairs no rule can ever allow', async () => {
  const vnet = berlin.netmap.self.vnet;
  expect(edge.relay.pairs.size).toBe(0);
  await put(ONLY_SSH);
  await until(() => edge.relay.pairs.has(vnet));
  const may = (a: Joined, b: Joined): boolean => {
    const { classes, rows } = edge.relay.pairs.get(vnet)!;
    const of = new Map(classes);
    const [from, to] = [of.get(a.relayId)!, of.get(b.relayId)!];
    return ((rows[from]![to >>> 5]! >>> (to & 31)) & 1) === 1;
  };
  expect([may(berlin, paris), may(paris, berlin), may(berlin, oslo), may(oslo, paris)]).toEqual([
    ...[true, true, false, false],
  ]);
  // A prefix that another connector gets moves the addresses, not the connectors of the rules.
  await put('{ "default": "deny", "rules": [{ "action": "allow", "from": "10.3.0.0/24" }] }');
  await until(() => may(oslo, paris));
  expect(may(berlin, paris)).toBe(false);
  await put('{ "default": "allow", "rules": [] }');
  await until(() => !edge.relay.pairs.has(vnet));
});

test('it outlives a restart, with its history', async () => {
  await put(ONLY_SSH);
  const { id } = (await (await open(paris)).next())!;
  await edge.edge.close();
  edge = await EdgeUnderTest.start(edge.directory, 5_000);
  expect(edge.relay.pairs.size).toBe(1);
  expect(await edge.admin('GET', PATH, policyViewSchema)).toMatchObject({
    version: 1,
    text: ONLY_SSH,
  });
  expect((await firstNetmap(await open(paris))).policy).toMatchObject({ version: 1 });
  await put(ONLY_SSH.replace('"deny"', '"allow"'));
  const data = (await (await open(paris, id)).next())!.data;
  expect(data.policy).toMatchObject({ version: 2, default: 'allow' });
  await until(() => edge.relay.pairs.size === 0);
});
