/** `/healthz` fails when the edge cannot do its work, costs little, and names no files. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Readiness } from '../../../src/edge/readiness.ts';
import { CausewayError } from '../../../src/errors.ts';
import { EdgeUnderTest, until } from './edge-under-test.ts';

let edge: EdgeUnderTest;
beforeEach(async () => {
  edge = await EdgeUnderTest.start();
});
afterEach(() => edge.stop());

test('an edge that serves says so to everybody', async () => {
  const answer = await edge.call('GET', '/healthz');
  expect(answer).toMatchObject({ status: 200, text: 'ok\n' });
});

test('a registry that cannot be written', async () => {
  const other = new DatabaseSync(join(edge.directory, 'registry.db'));
  other.exec('BEGIN IMMEDIATE');
  const { status, headers, json, text } = await edge.call('GET', '/healthz');
  other.close();
  expect(status).toBe(503);
  expect(headers['content-type']).toContain('application/problem+json');
  expect(json).toMatchObject({ code: 'NOT_SERVING', status: 503 });
  expect(json.detail).toContain('STORE_LOCKED');
  expect(text).not.toContain(edge.directory);
});

test('a relay that has ended', async () => {
  edge.relay.end(new Error('the relay has ended'));
  await until(async () => (await edge.call('GET', '/healthz')).status === 503);
  const { json } = await edge.call('GET', '/healthz');
  expect(json).toMatchObject({ code: 'NOT_SERVING' });
  expect(json.detail).toContain('relay');
});

test('a relay that hangs, until it does no more', async () => {
  edge.relay.silentFor = 4_900;
  expect((await edge.call('GET', '/healthz')).status).toBe(200);
  edge.relay.silentFor = 5_000;
  for (let i = 0; i < 2; i++) {
    const { status, json } = await edge.call('GET', '/healthz');
    expect([status, json.code]).toEqual([503, 'NOT_SERVING']);
    expect(json.detail).toContain('relay');
  }
  edge.relay.silentFor = 10;
  expect((await edge.call('GET', '/healthz')).status).toBe(200);
  const said = edge.logged.filter((line) => /relay (hangs|runs again)/.test(line));
  expect(said).toHaveLength(2);
});

test('many questions are one look at the registry, and it is looked at again', async () => {
  let now = 0;
  let looks = 0;
  let failure: Error | undefined = new CausewayError('STORE_FULL', '/a/path is full');
  const logged: string[] = [];
  const readiness = new Readiness({
    store: {
      probe: async () => {
        looks++;
        if (failure !== undefined) throw failure;
      },
    },
    relay: { closed: new Promise(() => {}), silence: () => 0 },
    log: pino({}, { write: (line: string) => void logged.push(line) }),
    now: () => now,
  });
  const refused = expect.objectContaining({ code: 'NOT_SERVING' });
  for (let i = 0; i < 100; i++) await expect(readiness.check()).rejects.toEqual(refused);
  now = 5_000;
  await expect(readiness.check()).rejects.toEqual(refused);
  expect(looks).toBe(2);
  expect(logged).toHaveLength(1);
  failure = undefined;
  now = 9_999;
  await expect(readiness.check()).rejects.toEqual(refused);
  now = 10_000;
  await readiness.check();
  expect(looks).toBe(3);
});
