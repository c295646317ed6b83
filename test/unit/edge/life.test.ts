/** Starts, ends, crashes and restarts of an edge, and what it does with a data directory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openEdge } from '../../../src/edge/edge.ts';
import { initializeEdge } from '../../../src/edge/initialize.ts';
import type { SettingsChange } from '../../../src/edge/settings.ts';
import { CausewayError } from '../../../src/errors.ts';
import { EdgeUnderTest, temporaryDirectory, until } from './edge-under-test.ts';
import { EventReader } from './event-reader.ts';

const ROOT = join(import.meta.dirname, '../../..');

let directory: string;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('the data directory', () => {
  test('init makes it, again changes nothing, and run goes on with it', async () => {
    const change = { listen: { host: '127.0.0.1', port: 0 }, public: ['127.0.0.1'] };
    const first = await initializeEdge(directory, change);
    expect(await initializeEdge(directory, {})).toEqual(first);
    const edge = await EdgeUnderTest.start(directory);
    expect(edge.edge.tlsPin).toBe(first.tlsPin);
    for (const file of readdirSync(directory)) {
      expect(statSync(join(directory, file)).mode & 0o077, file).toBe(0);
    }
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    await edge.edge.close();
    expect(existsSync(join(directory, 'edge.sock'))).toBe(false);
  });

  test('what is refused changes nothing: settings are written when all of them are good', async () => {
    const first = await initializeEdge(directory, { public: ['edge.example'] });
    const settings = readFileSync(join(directory, 'edge.json'), 'utf8');
    const files = { certificate: '/nonexistent/a.pem', key: '/nonexistent/a.key' };
    const refused: [SettingsChange, string][] = [
      [{ certificate: files }, 'FILE_ACCESS'],
      [{ public: ['no host'] }, 'CONFIG_VALUE'],
      [{ name: 'No Name' }, 'CONFIG_VALUE'],
      [{ meshIpv4: '10.200.0.0/16' }, 'CONFIG_VALUE'],
    ];
    for (const [change, code] of refused) {
      await expect(initializeEdge(directory, change)).rejects.toMatchObject({ code });
      expect(readFileSync(join(directory, 'edge.json'), 'utf8')).toBe(settings);
    }
    expect(await initializeEdge(directory, { meshIpv4: '100.96.0.0/12' })).toEqual(first);
  });

  test('a start that fails leaves the settings as they were', async () => {
    const edge = await EdgeUnderTest.start(directory);
    await edge.edge.close();
    const settings = readFileSync(join(directory, 'edge.json'), 'utf8');
    const log = pino({ level: 'silent' });
    const options = { directory, version: '0.0.0', log, patience: 0 };
    const openRelay = async (): Promise<never> => {
      throw new CausewayError('PORT_IN_USE', 'taken');
    };
    const change = { relayPort: 9, name: 'other' };
    await expect(openEdge({ ...options, settings: change, openRelay })).rejects.toThrow('taken');
    expect(readFileSync(join(directory, 'edge.json'), 'utf8')).toBe(settings);
  });

  test('an edge is renamed by a second init, and stays who it is', async () => {
    const first = await initializeEdge(directory, { public: ['edge.example'] });
    expect(await initializeEdge(directory, { name: 'north' })).toEqual(first);
    const edge = await EdgeUnderTest.start(directory);
    const { json } = await edge.call('GET', '/v1/edges', { local: true });
    expect(json.edges).toMatchObject([{ name: 'north' }]);
    await edge.edge.close();
  });

  test('a second process on it is refused, and the first goes on', async () => {
    const edge = await EdgeUnderTest.start(directory);
    const refused = { code: 'DIRECTORY_IN_USE', message: expect.stringContaining(directory) };
    await expect(EdgeUnderTest.start(directory)).rejects.toMatchObject(refused);
    const { code, stderr } = await run('edge', 'init', '--data', directory);
    expect(code).toBe(1);
    expect(stderr).toMatch(/Another process uses .* \[DIRECTORY_IN_USE\]\n$/);
    expect((await edge.call('GET', '/healthz', { local: true })).status).toBe(200);
    await edge.edge.close();
    const next = await EdgeUnderTest.start(directory);
    await next.edge.close();
  }, 60_000);

  test('what cannot be used is said, and left as it is', async () => {
    await initializeEdge(directory, {});
    writeFileSync(join(directory, 'edge.key'), 'no key\n');
    await expect(EdgeUnderTest.start(directory)).rejects.toMatchObject({ code: 'FILE_ACCESS' });
    writeFileSync(join(directory, 'edge.json'), '{}');
    await expect(EdgeUnderTest.start(directory)).rejects.toMatchObject({ code: 'CONFIG_VALUE' });
  });

  test.each([
    ['is gone', (path: string) => rmSync(path)],
    ['is empty', (path: string) => writeFileSync(path, '')],
  ])(
    'a registry that %s, where an edge was before: no start, until a new one is asked for',
    async (_what, lose) => {
      await initializeEdge(directory, { listen: { host: '127.0.0.1', port: 0 } });
      const path = join(directory, 'registry.db');
      lose(path);
      const before = readdirSync(directory).toSorted();
      const missing = { code: 'REGISTRY_MISSING', message: expect.stringContaining(path) };
      await expect(EdgeUnderTest.start(directory)).rejects.toMatchObject(missing);
      await expect(initializeEdge(directory, {})).rejects.toMatchObject(missing);
      expect(readdirSync(directory).toSorted()).toEqual(before);
      for (const file of ['edge.json', 'tls.key', 'tls.crt']) rmSync(join(directory, file));
      await expect(EdgeUnderTest.start(directory)).rejects.toMatchObject(missing);
      await initializeEdge(directory, {}, { newRegistry: true });
      const edge = await EdgeUnderTest.start(directory);
      await edge.edge.close();
    },
  );

  test('a first start that broke off before it had a registry is no earlier life', async () => {
    const bad = { meshIpv4: '10.0.0.1/33' };
    await expect(initializeEdge(directory, bad)).rejects.toMatchObject({ code: 'VALUE_INVALID' });
    const edge = await EdgeUnderTest.start(directory);
    await edge.edge.close();
  });

  test('a registry of a newer version, a damaged one, and one that is locked', async () => {
    await initializeEdge(directory, {});
    const path = join(directory, 'registry.db');
    const database = new DatabaseSync(path);
    database.exec('PRAGMA user_version = 99');
    await expect(EdgeUnderTest.start(directory)).rejects.toMatchObject({ code: 'STORE_NEWER' });
    database.exec('PRAGMA user_version = 1');
    const edge = await EdgeUnderTest.start(directory);
    database.exec('BEGIN IMMEDIATE');
    const body = { name: 'later' };
    const refused = await edge.call('POST', '/v1/vnets', { local: true, body });
    expect(refused.status).toBe(503);
    expect(refused.json.code).toBe('STORE_LOCKED');
    database.exec('ROLLBACK');
    expect((await edge.call('POST', '/v1/vnets', { local: true, body })).status).toBe(201);
    await edge.edge.close();
    database.close();
    writeFileSync(path, 'x'.repeat(8_192));
    for (const file of readdirSync(directory)) {
      if (/-(wal|shm)$/.test(file)) rmSync(join(directory, file));
    }
    await expect(EdgeUnderTest.start(directory)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  }, 60_000);
});

test('after a restart tokens, credentials and health are as they were', async () => {
  const edge = await EdgeUnderTest.start(directory);
  const token = await edge.token('admin');
  const joined = await edge.join({ name: 'berlin' });
  edge.relay.bind(joined.relayId);
  await edge.edge.close();
  const next = await EdgeUnderTest.start(directory);
  const { status, json } = await next.call('GET', '/v1/connectors/berlin', { token });
  expect(status).toBe(200);
  // It was up, and nobody has heard it since.
  expect(json.health).toMatchObject({ state: 'DOWN' });
  expect(json.health.since).not.toBeNull();
  const body = { prefixes: ['10.1.0.0/16'] };
  const advertise = await next.call('PUT', '/v1/advertise', { token: joined.credential, body });
  expect(advertise.json).toEqual({ approved: [], pending: ['10.1.0.0/16'] });
  expect(next.relay.replicas.has(joined.relayId)).toBe(true);
  await next.call('DELETE', '/v1/connectors/berlin', { local: true });
  await next.edge.close();
  const last = await EdgeUnderTest.start(directory);
  const path = `/v1/netmap?replica=${joined.replica}`;
  const gone = await last.call('GET', path, { token: joined.credential });
  expect([gone.status, gone.json.code]).toEqual([410, 'CONNECTOR_GONE']);
  await last.edge.close();
});

test('a backup that is restored: what it has is resumed, what it lost is not', async () => {
  const registry = join(directory, 'registry.db');
  const addRoute = async (edge: EdgeUnderTest, prefix: string): Promise<void> => {
    const body = { prefix, connector: 'berlin' };
    expect((await edge.call('POST', '/v1/routes', { local: true, body })).status).toBe(201);
  };
  /** What a replica that has this netmap gets first. */
  const firstEvent = async (edge: EdgeUnderTest, credential: string, id?: string) => {
    const headers = id === undefined ? {} : { 'last-event-id': id };
    const reader = new EventReader(
      await edge.open('GET', '/v1/netmap', { token: credential, headers }),
    );
    const event = (await reader.next())!;
    reader.close();
    return event;
  };
  const edge = await EdgeUnderTest.start(directory);
  const { credential } = await edge.join({ name: 'berlin' });
  for (const name of ['paris', 'rome', 'oslo']) await edge.join({ name });
  const kept = (await firstEvent(edge, credential)).id!;
  await addRoute(edge, '10.1.0.0/16');
  await edge.edge.close();
  copyFileSync(registry, `${registry}.backup`);

  // The history that is lost, and one that has the same revisions.
  const lost = await EdgeUnderTest.start(directory);
  await addRoute(lost, '10.2.0.0/16');
  await addRoute(lost, '10.3.0.0/16');
  const forked = (await firstEvent(lost, credential)).id!;
  await lost.edge.close();
  copyFileSync(`${registry}.backup`, registry);
  const restored = await EdgeUnderTest.start(directory);
  expect((await firstEvent(restored, credential, forked)).event).toBe('netmap');
  for (const n of [4, 5, 6, 7]) await addRoute(restored, `10.${n}.0.0/16`);
  const whole = await firstEvent(restored, credential, forked);
  expect(whole.event).toBe('netmap');
  const routes = whole.data.self.routes.map(({ prefix }: { prefix: string }) => prefix);
  expect(routes).toEqual([1, 4, 5, 6, 7].map((n) => `10.${n}.0.0/16`));
  expect((await firstEvent(restored, credential, kept)).event).toBe('delta');
  await restored.edge.close();
});

test('killed in the middle of changes, three times over: nothing acknowledged is lost', async () => {
  const acknowledged: string[] = [];
  let number = 0;
  for (let round = 0; round < 3; round++) {
    const child = await startProgram();
    const writing = Array.from({ length: 8 }, async () => {
      for (;;) {
        const name = `n${number++}`;
        const status = await post('/v1/vnets', { name }).catch(() => undefined);
        if (status !== 201) return;
        acknowledged.push(name);
      }
    });
    const before = acknowledged.length;
    await until(() => acknowledged.length > before + 40);
    child.kill('SIGKILL');
    await Promise.all([...writing, once(child, 'exit')]);
  }
  const edge = await EdgeUnderTest.start(directory, 2_000);
  const { json } = await edge.call('GET', '/v1/vnets', { local: true });
  const names = new Set(json.vnets.map(({ name }: { name: string }) => name));
  expect(acknowledged.length).toBeGreaterThan(120);
  expect(acknowledged.filter((name) => !names.has(name))).toEqual([]);
  await edge.edge.close();
}, 120_000);

test('SIGTERM ends it in order, with exit code 0', async () => {
  const child = await startProgram();
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(existsSync(join(directory, 'edge.sock'))).toBe(false);
}, 120_000);

test('a port that is taken', async () => {
  const edge = await EdgeUnderTest.start(directory);
  const other = temporaryDirectory();
  const listen = `127.0.0.1:${edge.edge.port}`;
  const { code, stderr } = await run(
    ...['edge', 'run', '--data', other, '--listen', listen, '--relay-port', '0'],
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(/is in use: .*\[PORT_IN_USE\]\n$/);
  rmSync(other, { recursive: true });
  await edge.edge.close();
}, 120_000);

test('a start that ends before the relay is opened ends its thread', async () => {
  const file = join(directory, 'a-file');
  writeFileSync(file, '');
  const { code, stderr } = await run('edge', 'run', '--data', join(file, 'data'));
  expect(code).toBe(1);
  expect(stderr).toMatch(/\[FILE_ACCESS\]\n$/);
}, 120_000);

/** `connector edge run` as a process of its own, when it answers. */
async function startProgram(): Promise<ChildProcess> {
  const args = ['edge', 'run', '--data', directory, '--listen', '127.0.0.1:0', '--relay-port', '0'];
  const child = spawn(join(ROOT, 'bin/connector'), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LOG_LEVEL: 'error' },
  });
  let errors = '';
  child.stderr.on('data', (part) => {
    errors += part;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(errors);
    return (await post('/healthz').catch(() => undefined)) !== undefined;
  });
  return child;
}

/** Over the unix socket; the status of the answer. */
function post(path: string, body?: unknown): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request(
    {
      socketPath: join(directory, 'edge.sock'),
      path,
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
      agent: false,
    },
    (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode!));
      response.once('error', reject);
    },
  );
  sent.once('error', reject);
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

async function run(...args: string[]): Promise<{ code: number; stderr: string }> {
  const child = spawn(join(ROOT, 'bin/connector'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (part) => {
    stderr += part;
  });
  const [code] = (await once(child, 'exit')) as [number];
  return { code, stderr };
}
