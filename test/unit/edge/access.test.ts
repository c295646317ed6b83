/** Who may do what: every endpoint with every kind of secret, and with none. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Access } from '../../../src/edge/api/endpoint.ts';
import { apiEndpoints } from '../../../src/edge/api/endpoints.ts';
import type { EdgeServices } from '../../../src/edge/services.ts';
import { EdgeUnderTest } from './edge-under-test.ts';

let edge: EdgeUnderTest;
let secrets: Record<string, string | undefined>;
beforeAll(async () => {
  edge = await EdgeUnderTest.start();
  const revoked = await edge.token('admin', 'revoked');
  await edge.call('DELETE', '/v1/tokens/revoked', { local: true });
  const gone = await edge.join({ name: 'gone' });
  await edge.call('DELETE', '/v1/connectors/gone', { local: true });
  secrets = {
    none: undefined,
    admin: await edge.token('admin'),
    'read-only': await edge.token('read-only'),
    replica: (await edge.join({ name: 'replica' })).credential,
    damaged: `${(await edge.token('admin')).slice(0, -1)}_`,
    revoked,
    gone: gone.credential,
    foreign: `cwt_${'A'.repeat(43)}`,
    nonsense: 'x'.repeat(300),
  };
});
afterAll(() => edge.stop());

/** What a secret is answered, before its request is looked at. */
function expected(access: Access, secret: string): 'allowed' | 'UNAUTHORIZED' | 'FORBIDDEN' {
  if (access === 'public') return 'allowed';
  if (!['admin', 'read-only', 'replica'].includes(secret)) return 'UNAUTHORIZED';
  const allowed: Record<Access, string[]> = {
    public: [],
    replica: ['replica'],
    read: ['admin', 'read-only'],
    admin: ['admin'],
  };
  return allowed[access].includes(secret) ? 'allowed' : 'FORBIDDEN';
}

const services = { registry: { view: {} } } as EdgeServices;
describe.each(apiEndpoints(services))('$method $path for $access', (endpoint) => {
  const { method, path, access, stream } = endpoint;
  test('answers each secret as it should', async () => {
    const missing = path.replaceAll(/:[a-z]+/g, '00000000-0000-4000-8000-000000000000');
    for (const [name, token] of Object.entries(secrets)) {
      const outcome = expected(access, name);
      if (stream && outcome === 'allowed') continue;
      const { status, json } = await edge.call(method, missing, { token });
      const code = status >= 400 ? json.code : undefined;
      if (outcome === 'allowed') expect(['UNAUTHORIZED', 'FORBIDDEN'], name).not.toContain(code);
      // Further failures from one address are answered by the limit on them.
      else if (outcome === 'UNAUTHORIZED') {
        expect([401, 429], name).toContain(status);
        expect(['UNAUTHORIZED', 'TOO_MANY_REQUESTS'], name).toContain(code);
      } else expect([status, code], name).toEqual([403, outcome]);
    }
  });
});

test('over the unix socket everything is allowed but what is for replicas', async () => {
  expect((await edge.call('GET', '/v1/tokens', { local: true })).status).toBe(200);
  expect((await edge.call('GET', '/v1/netmap', { local: true })).json.code).toBe('FORBIDDEN');
});

test('a token in the query or in another scheme is none', async () => {
  const token = secrets.admin!;
  const inQuery = await edge.call('GET', `/v1/status?token=${token}`);
  expect([401, 429]).toContain(inQuery.status);
  const basic = await edge.call('GET', '/v1/status', {
    headers: { authorization: `Basic ${token}` },
  });
  expect([401, 429]).toContain(basic.status);
});
