/** The audit log: every change in it before it is acknowledged, in a file of bounded size. */
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AuditLog, type AuditRecord } from '../../../src/edge/audit-log.ts';
import { EdgeUnderTest, enrolBody, until } from './edge-under-test.ts';

/** What the file system does instead of what it would. */
const system = vi.hoisted(() => ({ stat: undefined as (() => Promise<never>) | undefined }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const stat = (path: string) => system.stat?.() ?? real.stat(path);
  return { ...real, stat };
});

const actor = { role: 'admin', name: 'a', source: '::1' } as const;
const record = (n: number, padding = ''): AuditRecord => {
  return { actor, action: 'vnet.create', target: `${n}`, before: null, after: { n, padding } };
};

type Line = Omit<AuditRecord, 'actor'> & { readonly actor: { readonly role: string } };

function linesOf(path: string): Line[] {
  const text = readFileSync(path, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('the file', () => {
  let folder: string;
  let path: string;
  let failures: [unknown, string][];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'audit-'));
    path = join(folder, 'audit.jsonl');
    failures = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const open = (limits = {}): AuditLog =>
    new AuditLog(path, {
      onFailure: (error, line) => failures.push([error, line]),
      now: () => 0,
      ...limits,
    });

  test('leaves secrets out, but says that one was replaced', async () => {
    const log = open();
    const before = { name: 'ci', hash: 'abc', credentialHash: 'def', joinSecretHash: 'same' };
    const after = { ...before, credentialHash: 'ghi' };
    await log.record([
      { actor, action: 'token.create', target: 'x', before: null, after: before },
      { actor, action: 'replica.update', target: 'x', before, after },
    ]);
    expect(linesOf(path)).toEqual([
      {
        time: '1970-01-01T00:00:00.000Z',
        actor,
        action: 'token.create',
        target: 'x',
        before: null,
        after: { name: 'ci' },
      },
      expect.objectContaining({
        before: { name: 'ci' },
        after: { name: 'ci' },
        replaced: ['credential'],
      }),
    ]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('has what was recorded, in order, when the promise resolves', async () => {
    const log = open();
    const done = Array.from({ length: 100 }, (_, i) =>
      log.record([record(2 * i), record(2 * i + 1)]),
    );
    // Nothing is written in the caller's time.
    expect(existsSync(path)).toBe(false);
    await done[0];
    expect(linesOf(path).length).toBeGreaterThanOrEqual(2);
    await Promise.all(done);
    expect(linesOf(path).map(({ target }) => Number(target))).toEqual(
      Array.from({ length: 200 }, (_, i) => i),
    );
  });

  test('may be moved away at any time', async () => {
    const log = open();
    await log.record([record(1)]);
    renameSync(path, `${path}-2026`);
    await log.record([record(2)]);
    expect(linesOf(path)).toMatchObject([{ target: '2' }]);
  });

  test('becomes an older one when it is full, and of those so many are kept', async () => {
    const log = open({ maxSize: 10_000, maxFiles: 3 });
    const padding = 'x'.repeat(900);
    for (let i = 0; i < 100; i++) await log.record([record(i, padding)]);
    expect(readdirSync(folder).sort()).toEqual([
      'audit.jsonl',
      'audit.jsonl.1',
      'audit.jsonl.2',
      'audit.jsonl.3',
    ]);
    const files = ['.3', '.2', '.1', ''].map((suffix) => `${path}${suffix}`);
    for (const file of files) {
      expect(statSync(file).size).toBeLessThanOrEqual(10_000);
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    const kept = files.flatMap(linesOf).map(({ target }) => Number(target));
    expect(kept).toEqual(kept.map((_, i) => 100 - kept.length + i));
    expect(kept.length).toBeGreaterThan(24);
    expect(failures).toEqual([]);
  });

  test('that cannot be written: each line is reported, and the next ones are tried', async () => {
    const missing = new AuditLog(join(folder, 'later/audit.jsonl'), {
      onFailure: (error, line) => failures.push([error, line]),
    });
    await missing.record([record(1), record(2)]);
    expect(failures.map(([, line]) => JSON.parse(line).target)).toEqual(['1', '2']);
    expect(failures[0]![0]).toMatchObject({ code: 'ENOENT' });
  });

  test('that cannot be looked at is not cut', async () => {
    const log = open();
    await log.record([record(1)]);
    system.stat = async () => {
      throw Object.assign(new Error('EIO: i/o error, stat'), { code: 'EIO' });
    };
    await log.record([record(2)]);
    expect(failures.map(([, line]) => JSON.parse(line).target)).toEqual(['2']);
    system.stat = undefined;
    await log.record([record(3)]);
    expect(linesOf(path).map(({ target }) => target)).toEqual(['1', '3']);
  });

  test('that cannot be rotated grows on', async () => {
    writeFileSync(path, 'x'.repeat(100));
    const log = open({ maxSize: 50, maxFiles: 1 });
    // A directory is not replaced by a file.
    mkdirSync(`${path}.1/in-the-way`, { recursive: true });
    await log.record([record(1)]);
    expect(readFileSync(path, 'utf8')).toContain('"target":"1"');
    expect(failures).toHaveLength(1);
  });

  test('of a disk that takes nothing: what waits is bounded', async () => {
    const log = open({ maxQueued: 2_000 });
    const done = Array.from({ length: 100 }, (_, i) => log.record([record(i)]));
    await Promise.all(done);
    const written = linesOf(path).length;
    expect(written).toBeGreaterThan(5);
    expect(written + failures.length).toBe(100);
    expect(failures.length).toBeGreaterThan(50);
  });
});

describe('an edge', () => {
  let edge: EdgeUnderTest;
  beforeAll(async () => {
    edge = await EdgeUnderTest.start();
  });
  afterAll(() => edge.stop());

  const audited = (): Line[] => linesOf(join(edge.directory, 'audit.jsonl'));
  const actionsOn = (target: string): string[] =>
    audited()
      .filter((line) => line.target === target)
      .map(({ action }) => action);

  test('records what it registers of itself', () => {
    expect(audited()).toMatchObject([
      { actor: { role: 'edge', source: 'local' }, action: 'vnet.create' },
      { actor: { role: 'edge', source: 'local' }, action: 'edge.create' },
    ]);
  });

  test('records an enrolment, and another with the same key as a replaced credential', async () => {
    const { joinToken, connector } = await edge.create({ name: 'enrolled' });
    const privateKey = randomBytes(32);
    const enrol = () => {
      const body = enrolBody(joinToken, { privateKey, advertise: ['10.1.0.0/24'] });
      return edge.call('POST', '/v1/enrol', { body });
    };
    const { json } = await enrol();
    expect(actionsOn(json.replica)).toEqual(['replica.create']);
    await enrol();
    expect(audited().at(-1)).toMatchObject({
      actor: { role: 'enrolling', name: connector.id, source: '127.0.0.1' },
      action: 'replica.update',
      target: json.replica,
      replaced: ['credential'],
    });
  });

  test('records a new join token as a replaced secret', async () => {
    const { connector } = await edge.create({ name: 'rotated' });
    await edge.call('POST', '/v1/connectors/rotated/rotate-token', { local: true });
    expect(audited().at(-1)).toMatchObject({
      actor: { name: 'local' },
      target: connector.id,
      replaced: ['joinSecret'],
    });
  });

  test('records who is bound, the health of connectors, and a failover', async () => {
    const { joinToken, connector } = await edge.create({ name: 'pair', maxReplicas: 2 });
    const one = await edge.enrol(joinToken);
    const two = await edge.enrol(joinToken);
    edge.relay.bind(one.relayId);
    edge.relay.bind(two.relayId);
    // Another address of the same replica is no change of who is there.
    edge.relay.bind(two.relayId);
    edge.relay.bind(one.relayId, false);
    await until(() => actionsOn(connector.id).includes('serving.create'));
    expect(actionsOn(one.replica)).toEqual(['replica.create', 'replica.bound', 'replica.unbound']);
    expect(actionsOn(two.replica)).toEqual(['replica.create', 'replica.bound']);
    expect(actionsOn(connector.id)).toEqual([
      'connector.create',
      'connector.health',
      'connector.health',
      'connector.health',
      'serving.create',
    ]);
    const lines = audited().filter(({ target }) => target === connector.id);
    expect(lines.slice(1)).toMatchObject([
      { before: { state: 'INACTIVE' }, after: { state: 'DEGRADED' } },
      { before: { state: 'DEGRADED' }, after: { state: 'HEALTHY' } },
      { actor: { role: 'edge' }, before: { state: 'HEALTHY' }, after: { state: 'DEGRADED' } },
      { actor: { role: 'edge' }, before: null, after: { replica: two.replica } },
    ]);
  });

  test('records that a gateway was stopped, or is silent', async () => {
    const { joinToken, connector } = await edge.create({ name: 'stopped' });
    const { relayId, replica } = await edge.enrol(joinToken);
    const health = async () => {
      const { json } = await edge.call('GET', '/v1/connectors/stopped', { local: true });
      return json.health;
    };
    edge.relay.bind(relayId);
    edge.relay.bind(relayId, false, 'stopped');
    expect(await health()).toMatchObject({
      state: 'DOWN',
      why: expect.stringContaining('is bound to no edge (stopped on its host).'),
    });
    edge.relay.bind(relayId);
    expect(await health()).toMatchObject({ state: 'HEALTHY' });
    edge.relay.bind(relayId, false, 'silent');
    expect(await health()).toMatchObject({ why: expect.stringContaining('(silent).') });
    await until(() => actionsOn(connector.id).length === 5);
    const ends = audited().filter(
      ({ action, target }) => action === 'replica.unbound' && target === replica,
    );
    expect(ends).toMatchObject([
      { actor: { role: 'edge' }, after: { why: 'stopped on its host' } },
      { actor: { role: 'edge' }, after: { why: 'silent' } },
    ]);
  });

  test('has everything written when it is closed', async () => {
    const other = await EdgeUnderTest.start();
    const { relayId, replica } = await other.join({ name: 'last' });
    other.relay.bind(relayId);
    await other.edge.close();
    const lines = linesOf(join(other.directory, 'audit.jsonl'));
    expect(lines).toContainEqual(
      expect.objectContaining({ action: 'replica.bound', target: replica }),
    );
    await other.stop();
  });
});
