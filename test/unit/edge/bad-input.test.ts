/** The list of bad input: each a clear error with a code, and nothing is lost. */

import { x25519 } from '@noble/curves/ed25519.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectorListSchema, routeListSchema } from '../../../src/control/operator-api.ts';
import { EdgeUnderTest, enrolBody } from './edge-under-test.ts';

let edge: EdgeUnderTest;
let other: EdgeUnderTest;
beforeAll(async () => {
  edge = await EdgeUnderTest.start();
  other = await EdgeUnderTest.start();
  await edge.create({ name: 'berlin', routes: ['10.1.0.0/16'] });
});
afterAll(async () => {
  await edge.stop();
  await other.stop();
});

async function codeOf(method: string, path: string, body?: unknown): Promise<string> {
  const answer = await edge.call(method, path, { local: true, body });
  return answer.status < 400 ? String(answer.status) : `${answer.status} ${answer.json.code}`;
}

describe('routes', () => {
  test.each([
    ['host bits', '10.1.2.3/16', '400 ROUTE_HOST_BITS'],
    ['no prefix', '10.1.0.0/33', '400 ROUTE_PREFIX'],
    ['a name', 'berlin', '400 ROUTE_PREFIX'],
    ['taken with that priority', '10.1.0.0/16', '409 ROUTE_TAKEN'],
    ['inside the mesh range', '100.97.0.0/16', '400 ROUTE_RESERVED'],
    ['loopback', '127.0.0.0/8', '400 ROUTE_RESERVED'],
    ['a default route', '0.0.0.0/0', '400 ROUTE_DEFAULT'],
    ['a default route of IPv6', '::/0', '400 ROUTE_DEFAULT'],
    ['nothing', '', '400 REQUEST_INVALID'],
    ['a long text', '1'.repeat(1_000), '400 REQUEST_INVALID'],
  ])('%s', async (_, prefix, code) => {
    expect(await codeOf('POST', '/v1/routes', { prefix, connector: 'berlin' })).toBe(code);
  });

  test('with fields that do not exist, or of the wrong type, say which', async () => {
    const body = { prefix: '10.9.0.0/16', connector: 'berlin', priority: 'high', color: 'red' };
    const { json } = await edge.call('POST', '/v1/routes', { local: true, body });
    expect(json.code).toBe('REQUEST_INVALID');
    expect(json.errors.map(({ path }: { path: string }) => path)).toContain('body.priority');
    expect(JSON.stringify(json.errors)).toContain('color');
  });

  test('of a connector, or in a network, that does not exist', async () => {
    const body = { prefix: '10.9.0.0/16', connector: 'nobody' };
    expect(await codeOf('POST', '/v1/routes', body)).toBe('404 NOT_FOUND');
    expect(await codeOf('GET', '/v1/routes?vnet=nowhere')).toBe('404 NOT_FOUND');
    expect(await codeOf('GET', '/v1/routes?subsetOf=10.1.2.3/8')).toBe('400 ROUTE_HOST_BITS');
    expect(await codeOf('GET', '/v1/routes?state=good')).toBe('400 REQUEST_INVALID');
  });

  test('none of these left anything behind', async () => {
    const { routes } = await edge.admin('GET', '/v1/routes', routeListSchema);
    expect(routes.map(({ prefix }) => prefix)).toEqual(['10.1.0.0/16']);
  });
});

describe('connectors', () => {
  test.each([
    ['a name twice', { name: 'berlin' }, '409 NAME_TAKEN'],
    ['capital letters', { name: 'Berlin' }, '400 REQUEST_INVALID'],
    ['no name', {}, '400 REQUEST_INVALID'],
    ['a network that is none', { name: 'x', vnet: 'none' }, '404 NOT_FOUND'],
    [
      'one bad route of two',
      { name: 'x', routes: ['10.8.0.0/16', '10.8.1.1/16'] },
      '400 ROUTE_HOST_BITS',
    ],
    ['a comment of two lines', { name: 'x', comment: 'a\nb' }, '400 REQUEST_INVALID'],
    ['a prototype', JSON.parse('{"name":"x","__proto__":{"a":1}}'), '400 REQUEST_INVALID'],
  ])('%s', async (_, body, code) => {
    expect(await codeOf('POST', '/v1/connectors', body)).toBe(code);
  });

  test('none of these left anything behind', async () => {
    const { connectors } = await edge.admin('GET', '/v1/connectors', connectorListSchema);
    expect(connectors.map(({ name }) => name)).toEqual(['berlin']);
  });

  test('a body that is no JSON, empty, or of another type', async () => {
    const send = async (text: string, type: string): Promise<string> => {
      const headers = { 'content-type': type };
      const answer = await edge.call('POST', '/v1/vnets', { local: true, headers, text });
      return `${answer.status} ${answer.json.code}`;
    };
    expect(await send('{', 'application/json')).toBe('400 REQUEST_INVALID');
    expect(await send('', 'application/json')).toBe('400 REQUEST_INVALID');
    expect(await send('name=x', 'application/x-www-form-urlencoded')).toBe('400 REQUEST_INVALID');
    expect(await send('"x"', 'text/plain')).toBe('400 REQUEST_INVALID');
  });
});

describe('join tokens', () => {
  async function enrol(body: Record<string, unknown>): Promise<string> {
    const answer = await edge.call('POST', '/v1/enrol', { body });
    return answer.status < 400 ? String(answer.status) : `${answer.status} ${answer.json.code}`;
  }

  test('with a damaged secret, for another edge, of a deleted connector', async () => {
    const { joinToken } = await edge.create({ name: 'victim' });
    const body = enrolBody(joinToken);
    const secret = String(body.secret);
    const wrong = `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`;
    expect(await enrol({ ...body, secret: wrong })).toBe('401 JOIN_TOKEN_WRONG');
    const foreign = await other.create({ name: 'victim' });
    expect(await enrol(enrolBody(foreign.joinToken))).toBe('401 JOIN_TOKEN_WRONG');
    await edge.call('DELETE', '/v1/connectors/victim', { local: true });
    expect(await enrol(body)).toBe('401 JOIN_TOKEN_WRONG');
  });

  test('that were rotated', async () => {
    const { joinToken } = await edge.create({ name: 'rotated' });
    await edge.call('POST', '/v1/connectors/rotated/rotate-token', { local: true });
    expect(await enrol(enrolBody(joinToken))).toBe('401 JOIN_TOKEN_REVOKED');
  });

  test('used past their limit', async () => {
    const { joinToken } = await edge.create({ name: 'single', maxReplicas: 1 });
    expect(await enrol(enrolBody(joinToken))).toBe('201');
    expect(await enrol(enrolBody(joinToken))).toBe('409 REPLICA_LIMIT');
  });

  test('with a key that another host has, or that is none', async () => {
    const one = await edge.create({ name: 'one' });
    const two = await edge.create({ name: 'two' });
    const privateKey = x25519.utils.randomSecretKey();
    expect(await enrol(enrolBody(one.joinToken, { privateKey }))).toBe('201');
    expect(await enrol(enrolBody(two.joinToken, { privateKey }))).toBe('409 KEY_TAKEN');
    const bad = { publicKey: 'AAAA' };
    expect(await enrol(enrolBody(two.joinToken, bad))).toBe('400 REQUEST_INVALID');
  });

  test('with bad advertised prefixes: no replica is made', async () => {
    const { joinToken } = await edge.create({ name: 'careful' });
    const bad = (prefix: string) => enrolBody(joinToken, { advertise: [prefix] });
    expect(await enrol(bad('10.1.2.3/8'))).toBe('400 ROUTE_HOST_BITS');
    expect(await enrol(bad('0.0.0.0/0'))).toBe('400 ROUTE_DEFAULT');
    expect(await enrol(bad('100.96.0.0/24'))).toBe('400 ROUTE_RESERVED');
    const path = '/v1/connectors/careful';
    const { json } = await edge.call('GET', path, { local: true });
    expect(json.replicas).toEqual([]);
  });
});
