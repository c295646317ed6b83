/** How much of the registry a replica may change: enough for a gateway, not for a flood. */

import { x25519 } from '@noble/curves/ed25519.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { routeListSchema } from '../../../src/control/operator-api.ts';
import { CHANGES_BURST, ChangeLimiter } from '../../../src/edge/change-limiter.ts';
import { type Answer, EdgeUnderTest, enrolBody } from './edge-under-test.ts';

const coded = expect.objectContaining({ code: 'TOO_MANY_REQUESTS' });

describe('the limiter', () => {
  test('lets a burst through, then what time gives back', () => {
    const limiter = new ChangeLimiter();
    limiter.take('a', CHANGES_BURST, 0);
    expect(() => limiter.take('a', 8, 0)).toThrow(coded);
    expect(() => limiter.take('a', 8, 999)).toThrow(coded);
    limiter.take('a', 8, 1_000);
    limiter.take('b', CHANGES_BURST, 1_000);
  });

  test('says when to come again, and takes nothing for what it refuses', () => {
    const limiter = new ChangeLimiter();
    limiter.take('a', CHANGES_BURST, 0);
    for (let i = 0; i < 10; i++) {
      expect(() => limiter.take('a', 4_096, 0)).toThrow(
        expect.objectContaining({ retryAfter: 512 }),
      );
    }
    limiter.take('a', 4_096, 512_000);
  });

  test('remembers a bounded number', () => {
    const limiter = new ChangeLimiter();
    for (let i = 0; i < 20_000; i++) limiter.take(`${i}`, 1, i);
    expect(limiter.size).toBeLessThanOrEqual(8_192);
  });
});

describe('the edge', () => {
  let edge: EdgeUnderTest;
  beforeAll(async () => {
    edge = await EdgeUnderTest.start();
  });
  afterAll(() => edge.stop());

  const prefixes = (net: number): string[] =>
    Array.from({ length: 1_000 }, (_, i) => `${net}.${i >> 8}.${i & 255}.0/24`);

  /** Asks with other prefixes each time until it is refused. Returns how often, and the refusal. */
  async function flood(ask: (prefixes: string[]) => Promise<Answer>): Promise<[number, Answer]> {
    for (let i = 0; i < 40; i++) {
      const answer = await ask(prefixes(10 + (i % 2)));
      if (answer.status >= 400) return [i, answer];
    }
    throw new Error('never refused');
  }

  async function offered(connector: string): Promise<Set<string>> {
    const { routes } = await edge.admin(
      'GET',
      `/v1/routes?connector=${connector}`,
      routeListSchema,
    );
    return new Set(routes.map(({ prefix }) => prefix));
  }

  test('stops a replica that advertises something else all the time, and no other', async () => {
    const { credential: token } = await edge.join({ name: 'flapping' });
    const other = await edge.join({ name: 'steady' });
    const advertise = (body: unknown): Promise<Answer> =>
      edge.call('PUT', '/v1/advertise', { token, body });
    const [times, refused] = await flood((offer) => advertise({ prefixes: offer }));
    // 1,000 routes that come and 1,000 that go with each.
    expect(times).toBeGreaterThanOrEqual(4);
    expect(times).toBeLessThan(8);
    expect(refused.status).toBe(429);
    expect(refused.json.code).toBe('TOO_MANY_REQUESTS');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(await offered('flapping')).toEqual(new Set(prefixes(10 + ((times - 1) % 2))));
    // A small change is possible sooner than one of a thousand routes.
    const body = { prefixes: ['10.9.0.0/16'] };
    const call = { token: other.credential, body };
    expect((await edge.call('PUT', '/v1/advertise', call)).status).toBe(200);
  });

  test('bounds requests that change nothing as well', async () => {
    const { credential: token } = await edge.join({ name: 'repeating' });
    const call = { token, body: { prefixes: ['10.8.0.0/16'] } };
    const statuses: number[] = [];
    for (let i = 0; i < 400; i++) {
      statuses.push((await edge.call('PUT', '/v1/advertise', call)).status);
      if (statuses.at(-1) === 429) break;
    }
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(statuses.length).toBeGreaterThan(200);
  });

  test('and one that enrols again and again with one key', async () => {
    const { joinToken } = await edge.create({ name: 'enrolling' });
    const privateKey = x25519.utils.randomSecretKey();
    const [times, refused] = await flood((advertise) =>
      edge.call('POST', '/v1/enrol', { body: enrolBody(joinToken, { privateKey, advertise }) }),
    );
    expect(times).toBeLessThan(8);
    expect(refused.json.code).toBe('TOO_MANY_REQUESTS');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(await offered('enrolling')).toEqual(new Set(prefixes(10 + ((times - 1) % 2))));
  });
});
