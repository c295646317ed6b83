/** The API over real sockets: what every endpoint answers, and what it says of itself. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { x25519 } from '@noble/curves/ed25519.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiDescription } from '../../../scripts/write-openapi.ts';
import { advertiseResponseSchema, problemSchema } from '../../../src/control/api.ts';
import { decodeJoinToken } from '../../../src/control/join-token.ts';
import {
  checkAnswerSchema,
  connectorListSchema,
  connectorViewSchema,
  edgeListSchema,
  edgeStatusSchema,
  getAnswerSchema,
  joinTokenResponseSchema,
  overlapsAnswerSchema,
  routeListSchema,
  routeViewSchema,
  tokenListSchema,
  vnetListSchema,
  vnetViewSchema,
} from '../../../src/control/operator-api.ts';
import { hashSecret } from '../../../src/control/secrets.ts';
import { keyToBase64 } from '../../../src/keys.ts';
import { EdgeUnderTest, type EnrolChange, enrolBody } from './edge-under-test.ts';

let edge: EdgeUnderTest;
beforeAll(async () => {
  edge = await EdgeUnderTest.start();
});
afterAll(() => edge.stop());

describe('connectors', () => {
  test('are created with a join token that names this edge', async () => {
    const { connector, joinToken } = await edge.create({
      name: 'berlin',
      routes: ['10.1.0.0/16'],
      autoApprove: ['10.100.0.0/16'],
      comment: 'the first',
    });
    expect(connector).toMatchObject({
      name: 'berlin',
      vnet: { name: 'default' },
      health: { state: 'INACTIVE', since: null },
      routes: { total: 1, pending: 0 },
      replicas: [],
    });
    const token = decodeJoinToken(joinToken);
    expect(token).toMatchObject({
      ok: true,
      value: {
        connector: connector.id,
        urls: [`https://127.0.0.1:${edge.edge.port}`],
        tlsPin: edge.edge.tlsPin,
      },
    });
  });

  test('are listed, shown by id and by name, renamed', async () => {
    const { connectors } = await edge.admin('GET', '/v1/connectors', connectorListSchema);
    expect(connectors.map(({ name }) => name)).toEqual(['berlin']);
    const one = await edge.admin('GET', '/v1/connectors/berlin', connectorViewSchema);
    const path = `/v1/connectors/${one.id}`;
    const body = { name: 'spree', maxReplicas: 2 };
    const renamed = await edge.admin('PATCH', path, connectorViewSchema, body);
    expect(renamed).toMatchObject({ id: one.id, name: 'spree', maxReplicas: 2 });
    await edge.admin('PATCH', path, connectorViewSchema, { name: 'berlin' });
  });

  test('whose token was rotated take only the new one, and keep who has joined', async () => {
    const { joinToken: old } = await edge.create({ name: 'rotated' });
    const joined = await edge.enrol(old);
    const path = '/v1/connectors/rotated/rotate-token';
    const { joinToken } = await edge.admin('POST', path, joinTokenResponseSchema);
    await expect(edge.enrol(old)).rejects.toThrow('JOIN_TOKEN_REVOKED');
    await edge.enrol(joinToken);
    const body = { prefixes: [] };
    const answer = await edge.call('PUT', '/v1/advertise', { token: joined.credential, body });
    expect(answer.status).toBe(200);
    await edge.call('DELETE', '/v1/connectors/rotated', { local: true });
  });
});

describe('replicas', () => {
  test('enrol, and again with the same key as the same replica', async () => {
    const { joinToken, connector } = await edge.create({ name: 'twice' });
    const privateKey = x25519.utils.randomSecretKey();
    const first = await edge.enrol(joinToken, { privateKey });
    const second = await edge.enrol(joinToken, { privateKey });
    expect(first).toMatchObject({ connector: connector.id, name: 'twice' });
    expect(Math.abs(first.time - Date.now())).toBeLessThan(60_000);
    expect(second.replica).toBe(first.replica);
    expect(second.credential).not.toBe(first.credential);
    const body = { prefixes: [] };
    const old = await edge.call('PUT', '/v1/advertise', { token: first.credential, body });
    expect(old.json.code).toBe('UNAUTHORIZED');
    expect(edge.relay.replicas.has(second.relayId)).toBe(true);
  });

  test('do not get the record of a sibling, whose public key they know', async () => {
    const { joinToken } = await edge.create({ name: 'siblings' });
    const privateKey = x25519.utils.randomSecretKey();
    const publicKey = keyToBase64(x25519.getPublicKey(privateKey));
    const sibling = await edge.enrol(joinToken, { privateKey });
    const attempt = async (change: EnrolChange) => {
      const answer = await edge.call('POST', '/v1/enrol', { body: enrolBody(joinToken, change) });
      return `${answer.status} ${answer.json.code}`;
    };
    expect(await attempt({ publicKey })).toBe('403 KEY_UNPROVEN');
    expect(await attempt({ privateKey, proof: '0'.repeat(64) })).toBe('403 KEY_UNPROVEN');
    expect(await attempt({ privateKey, proof: undefined })).toBe('400 REQUEST_INVALID');
    // Of low order: their shared secrets are zero, for everybody.
    for (const low of [0, 1]) {
      const key = keyToBase64(new Uint8Array(32).fill(low, 0, 1));
      expect(await attempt({ publicKey: key })).toBe('403 KEY_UNPROVEN');
    }
    const body = { prefixes: [] };
    const answer = await edge.call('PUT', '/v1/advertise', { token: sibling.credential, body });
    expect(answer.status).toBe(200);
    const shown = await edge.admin('GET', '/v1/connectors/siblings', connectorViewSchema);
    expect(shown.replicas).toHaveLength(1);
  });

  test('say what of their traffic goes one way: their connector is degraded, with the cause', async () => {
    const { joinToken, connector } = await edge.create({ name: 'one-way' });
    const { credential, relayId } = await edge.enrol(joinToken);
    const tell = async (...faults: unknown[]): Promise<number> => {
      const options = { token: credential, body: { faults } };
      return (await edge.call('PUT', '/v1/faults', options)).status;
    };
    const health = async () => {
      const path = `/v1/connectors/${connector.id}`;
      return (await edge.admin('GET', path, connectorViewSchema)).health;
    };
    edge.relay.bind(relayId);
    expect((await health()).state).toBe('HEALTHY');
    const fault = { about: 'site', connector: null, subject: '10.2.0.0/24', why: 'No way back.' };
    expect(await tell(fault)).toBe(204);
    expect(await health()).toMatchObject({ state: 'DEGRADED', why: /: No way back\.$/ });
    // Bounded, and of no other form.
    expect(await tell(...Array.from({ length: 9 }, () => fault))).toBe(400);
    expect(await tell({ ...fault, why: 'x'.repeat(601) })).toBe(400);
    // Nothing that a terminal obeys, or that looks like another line.
    for (const bad of [
      '\u001b[2J',
      '\u009b2J',
      '\u0007',
      'a\nb',
      '\u202egnp',
      '\u2028',
      '\u200b',
    ]) {
      expect(await tell({ ...fault, why: `No way ${bad} back.` })).toBe(400);
      expect(await tell({ ...fault, subject: `10.2${bad}` })).toBe(400);
    }
    expect(await tell({ ...fault, why: 'Größer → kleiner.' })).toBe(204);
    expect(await tell({ ...fault, more: true })).toBe(400);
    expect((await edge.call('PUT', '/v1/faults', { body: { faults: [] } })).status).toBe(401);
    expect(await health()).toMatchObject({ state: 'DEGRADED' });
    expect(await tell()).toBe(204);
    expect((await health()).state).toBe('HEALTHY');
  });

  test('do not take the credential of another', async () => {
    const { joinToken } = await edge.create({ name: 'thieves' });
    const { credential } = await edge.enrol(joinToken);
    const stolen = edge.enrol(joinToken, { credentialHash: hashSecret(credential) });
    await expect(stolen).rejects.toThrow('VALUE_INVALID');
  });

  test('advertise: approved at once inside the auto-approve list, pending elsewhere', async () => {
    const { joinToken } = await edge.create({ name: 'paris', autoApprove: ['10.2.0.0/16'] });
    const { credential } = await edge.enrol(joinToken, { advertise: ['10.2.1.0/24'] });
    const advertise = async (prefixes: string[]) => {
      const answer = await edge.call('PUT', '/v1/advertise', {
        token: credential,
        body: { prefixes },
      });
      return advertiseResponseSchema.parse(answer.json);
    };
    expect(await advertise(['10.2.1.0/24', '10.3.0.0/24'])).toEqual({
      approved: ['10.2.1.0/24'],
      pending: ['10.3.0.0/24'],
    });
    const pending = '/v1/routes?connector=paris&state=pending';
    const { routes } = await edge.admin('GET', pending, routeListSchema);
    expect(routes).toMatchObject([{ prefix: '10.3.0.0/24', advertised: true, state: 'pending' }]);
    const path = `/v1/routes/${routes[0]!.id}/approve`;
    const approved = await edge.admin('POST', path, routeViewSchema);
    expect(approved).toMatchObject({ approved: true, state: 'approved' });
    expect(await advertise([])).toEqual({ approved: [], pending: [] });
    expect((await edge.admin('GET', '/v1/routes?connector=paris', routeListSchema)).routes).toEqual(
      [],
    );
  });

  test('make a connector HEALTHY when they are bound, and its routes serving', async () => {
    const { joinToken } = await edge.create({ name: 'rome', routes: ['10.4.0.0/16'] });
    const { relayId } = await edge.enrol(joinToken);
    const show = () => edge.admin('GET', '/v1/connectors/rome', connectorViewSchema);
    expect((await show()).health.state).toBe('INACTIVE');
    edge.relay.bind(relayId);
    const bound = await show();
    expect(bound.health.state).toBe('HEALTHY');
    expect(bound.replicas[0]).toMatchObject({ boundTo: ['edge'], serving: true });
    const path = '/v1/routes?connector=rome&state=serving';
    expect((await edge.admin('GET', path, routeListSchema)).routes).toHaveLength(1);
    edge.relay.bind(relayId, false);
    expect((await show()).health.state).toBe('DOWN');
    expect((await edge.admin('GET', path, routeListSchema)).routes).toHaveLength(0);
  });

  test('are removed one by one', async () => {
    const { joinToken } = await edge.create({ name: 'pair' });
    const one = await edge.enrol(joinToken);
    await edge.enrol(joinToken);
    const path = `/v1/connectors/pair/replicas/${one.replica}`;
    expect((await edge.call('DELETE', path, { local: true })).status).toBe(204);
    expect((await edge.call('DELETE', path, { local: true })).json.code).toBe('NOT_FOUND');
    const left = await edge.admin('GET', '/v1/connectors/pair', connectorViewSchema);
    expect(left.replicas).toHaveLength(1);
    expect(edge.relay.replicas.has(one.relayId)).toBe(false);
  });
});

describe('routes', () => {
  test('are added, changed, filtered and removed', async () => {
    const add = (prefix: string) =>
      edge.admin('POST', '/v1/routes', routeViewSchema, { prefix, connector: 'berlin' });
    const inner = await add('10.1.2.0/24');
    await add('2001:db8:1::/48');
    const changed = await edge.admin('PATCH', `/v1/routes/${inner.id}`, routeViewSchema, {
      priority: 7,
      comment: 'printers',
    });
    expect(changed).toMatchObject({ priority: 7, comment: 'printers', source: 'operator' });
    const prefixes = async (query: string) => {
      const { routes } = await edge.admin('GET', `/v1/routes?${query}`, routeListSchema);
      return routes.map(({ prefix }) => prefix);
    };
    expect(await prefixes('connector=berlin')).toEqual([
      '10.1.0.0/16',
      '10.1.2.0/24',
      '2001:db8:1::/48',
    ]);
    expect(await prefixes('subsetOf=10.1.2.0/23&connector=berlin')).toEqual(['10.1.2.0/24']);
    expect(await prefixes('supersetOf=10.1.9.0/24')).toEqual(['10.1.0.0/16']);
    expect(await prefixes('vnet=default&state=pending')).toEqual([]);
    const path = `/v1/routes/${inner.id}`;
    expect((await edge.admin('GET', path, routeViewSchema)).prefix).toBe('10.1.2.0/24');
  });

  test('answer which connector has an address, a prefix, and what overlaps', async () => {
    const get = '/v1/route-questions/get?address=10.1.2.3';
    const { answers } = await edge.admin('GET', get, getAnswerSchema);
    expect(answers).toMatchObject([
      { connector: { name: 'berlin' }, prefix: '10.1.2.0/24', serving: false },
    ]);
    const check = '/v1/route-questions/check?prefix=10.1.3.0/24';
    const { answers: checked } = await edge.admin('GET', check, checkAnswerSchema);
    expect(checked).toMatchObject([
      { reachedBy: { prefix: '10.1.0.0/16' }, overlapping: [{ prefix: '10.1.0.0/16' }] },
    ]);
    const path = '/v1/route-questions/overlaps?vnet=default';
    const { overlaps, truncated } = await edge.admin('GET', path, overlapsAnswerSchema);
    expect(truncated).toBe(false);
    expect(overlaps).toMatchObject([
      { outer: { prefix: '10.1.0.0/16' }, inner: { prefix: '10.1.2.0/24' }, sameVnet: true },
    ]);
  });
});

test('virtual networks: added, made the default, refused while in use, removed', async () => {
  const made = await edge.admin('POST', '/v1/vnets', vnetViewSchema, { name: 'lab' });
  expect(made).toMatchObject({ name: 'lab', default: false, connectors: 0 });
  const { connector } = await edge.create({ name: 'inlab', vnet: 'lab', routes: ['10.1.0.0/16'] });
  expect(connector.vnet.name).toBe('lab');
  const refused = await edge.call('DELETE', '/v1/vnets/lab', { local: true });
  expect(refused.json.code).toBe('VNET_IN_USE');
  await edge.admin('POST', '/v1/vnets/lab/default', vnetViewSchema);
  expect((await edge.create({ name: 'also' })).connector.vnet.name).toBe('lab');
  await edge.admin('POST', '/v1/vnets/default/default', vnetViewSchema);
  await edge.call('DELETE', '/v1/connectors/inlab', { local: true });
  await edge.call('DELETE', '/v1/connectors/also', { local: true });
  expect((await edge.call('DELETE', '/v1/vnets/lab', { local: true })).status).toBe(204);
  const { vnets } = await edge.admin('GET', '/v1/vnets', vnetListSchema);
  expect(vnets.map(({ name }) => name)).toEqual(['default']);
});

test('tokens are listed without secrets, and revoked', async () => {
  const secret = await edge.token('read-only', 'grafana');
  expect((await edge.call('GET', '/v1/status', { token: secret })).status).toBe(200);
  const list = await edge.call('GET', '/v1/tokens', { local: true });
  expect(tokenListSchema.parse(list.json).tokens[0]).toMatchObject({ name: 'grafana' });
  expect(list.text).not.toContain(secret);
  await edge.call('DELETE', '/v1/tokens/grafana', { local: true });
  expect((await edge.call('GET', '/v1/status', { token: secret })).status).toBe(401);
});

test('the edge tells of itself: edges, status, metrics, health', async () => {
  const { edges } = await edge.admin('GET', '/v1/edges', edgeListSchema);
  expect(edges).toMatchObject([{ name: 'edge', endpoints: ['127.0.0.1:51820'] }]);
  const status = await edge.admin('GET', '/v1/status', edgeStatusSchema);
  expect(status).toMatchObject({ version: '0.0.0-test', relay: { packets: 3, bytes: 400 } });
  const { text, headers } = await edge.call('GET', '/metrics', { local: true });
  expect(headers['content-type']).toContain('text/plain');
  expect(text).toContain('causeway_relay_forwarded_bytes_total 400');
  expect(text).toContain('causeway_relay_drops_total{reason="unknown_source"} 7');
  expect(text).toContain('causeway_relay_pair_bytes_total{from="1",to="2"} 400');
  expect(text).toMatch(/causeway_api_request_seconds_count\{path="\/v1\/connectors\/:id"/);
  expect((await edge.call('GET', '/healthz')).text).toBe('ok\n');
});

test('docs/openapi.json is what the edge serves: node scripts/write-openapi.ts writes it', async () => {
  const checkedIn = readFileSync(join(import.meta.dirname, '../../../docs/openapi.json'), 'utf8');
  expect(checkedIn === apiDescription()).toBe(true);
  expect((await edge.call('GET', '/v1/openapi.json')).text).toBe(checkedIn);
});

test('errors are problem documents with a code', async () => {
  const { status, json, headers } = await edge.call('GET', '/v1/connectors/nobody', {
    local: true,
  });
  expect(status).toBe(404);
  expect(headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(problemSchema.parse(json)).toMatchObject({
    type: 'urn:causeway:error:NOT_FOUND',
    status: 404,
    code: 'NOT_FOUND',
  });
  expect((await edge.call('GET', '/v2/nothing')).json.code).toBe('NOT_FOUND');
});

test('every change is in the audit log with who, what, before and after, and no secret', async () => {
  const token = await edge.token('admin', 'alice');
  const body = { name: 'audited', routes: ['10.99.0.0/16'] };
  const made = await edge.call('POST', '/v1/connectors', { token, body });
  await edge.call('PATCH', '/v1/connectors/audited', { token, body: { comment: 'x' } });
  await edge.call('DELETE', '/v1/connectors/audited', { token });
  const file = join(edge.directory, 'audit.jsonl');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const text = readFileSync(file, 'utf8');
  const lines = text.trim().split('\n');
  const own = lines.map((line) => JSON.parse(line)).filter(({ actor }) => actor.name === 'alice');
  expect(own.map(({ action }) => action)).toEqual([
    'connector.create',
    'route.create',
    'connector.update',
    'route.delete',
    'connector.delete',
  ]);
  expect(own[2]).toMatchObject({
    actor: { role: 'admin', source: '127.0.0.1' },
    target: made.json.connector.id,
    before: { comment: '' },
    after: { comment: 'x' },
  });
  const secret = decodeJoinToken(made.json.joinToken);
  for (const hidden of [token, made.json.joinToken, secret.ok && secret.value.secret, 'Hash"']) {
    expect(text).not.toContain(hidden);
    expect(edge.logged.join('')).not.toContain(hidden);
  }
});
