/** Enrolment against an edge on the loopback, and what the state directory holds afterwards. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { x25519 } from '@noble/curves/ed25519.js';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { enrolRequestSchema } from '../../../../src/control/api.ts';
import { NO_BREAKOUT } from '../../../../src/control/breakout.ts';
import { isEnrolmentProof } from '../../../../src/control/enrolment-proof.ts';
import { encodeJoinToken } from '../../../../src/control/join-token.ts';
import type { ConnectorId } from '../../../../src/control/model.ts';
import {
  bearerKind,
  hashSecret,
  joinSecretText,
  SECRET_SIZE,
} from '../../../../src/control/secrets.ts';
import { CausewayError } from '../../../../src/errors.ts';
import { type EnrolmentOptions, enrol } from '../../../../src/gateway/mesh/enrolment.ts';
import { saveIdentity } from '../../../../src/gateway/mesh/identity.ts';
import {
  openStateDirectory,
  type StateDirectory,
} from '../../../../src/gateway/mesh/state-directory.ts';
import { keyFromBase64, keyToBase64 } from '../../../../src/keys.ts';
import { FakeEdge, json, problem } from './fake-edge.ts';
import { netmap, uuid } from './netmaps.ts';

let folder: string;
let state: StateDirectory;
let edge: FakeEdge;
let warnings: string[];
let time: () => number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mesh-'));
  state = await openStateDirectory(folder);
  edge = await FakeEdge.open();
  warnings = [];
  time = Date.now;
  edge.answer = (asked, response) => {
    if (asked.path === '/v1/advertise') return json(response, { approved: [], pending: [] });
    json(response, {
      replica: uuid(1),
      connector: uuid(1_001),
      name: 'home',
      relayId: 1,
      time: time(),
      netmap: netmap({}),
      netmapId: 'epoch.1',
    });
  };
});

afterEach(async () => {
  await state.close();
  await edge[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const edgeKeys = x25519.keygen();

function token(
  connector = uuid(1_001),
  pin = edge.pin,
  edgePublicKey = keyToBase64(edgeKeys.publicKey),
): string {
  return encodeJoinToken({
    connector: connector as ConnectorId,
    secret: joinSecretText(1, new Uint8Array(SECRET_SIZE)),
    urls: [edge.url],
    tlsPin: pin,
    edgePublicKey,
  });
}

function run(options: Partial<EnrolmentOptions>) {
  return enrol(state, {
    token: undefined,
    advertise: undefined,
    allowDefault: false,
    breakout: NO_BREAKOUT,
    ready: Promise.resolve(),
    hostname: 'gw',
    version: '0.0.0',
    log: pino({ level: 'silent' }),
    onWarning: (message) => warnings.push(message),
    ...options,
  });
}

describe('with a token', () => {
  test('enrols once; later starts need neither token nor edge', async () => {
    const first = await run({ token: token(), advertise: ['10.1.0.0/24'] });
    expect(first).toMatchObject({ fresh: true, identity: { name: 'home', replica: uuid(1) } });
    expect(edge.asked[0]).toMatchObject({
      path: '/v1/enrol',
      body: { connector: uuid(1_001), hostname: 'gw', advertise: ['10.1.0.0/24'] },
    });
    await edge[Symbol.asyncDispose]();
    const second = await run({});
    expect(second.fresh).toBe(false);
    expect(second.privateKey).toEqual(first.privateKey);
    expect(second.cached?.netmap.revision).toBe(1);
    expect(second.cached?.id).toBe('epoch.1');
    expect((await run({ token: token() })).fresh).toBe(false);
  });

  test('proves to the edge of the token that the key is its own, and makes its credential', async () => {
    const { identity } = await run({ token: token(), advertise: ['10.1.0.0/24'] });
    const body = enrolRequestSchema.parse(edge.asked[0]!.body);
    const shared = x25519.getSharedSecret(edgeKeys.secretKey, keyFromBase64(body.publicKey)!);
    expect(isEnrolmentProof(shared, edgeKeys.publicKey, body)).toBe(true);
    expect(body.credentialHash).toBe(hashSecret(identity.credential));
    expect(bearerKind(identity.credential)).toBe('replica');
    expect(JSON.stringify(edge.asked)).not.toContain(identity.credential);
  });

  test('a host that cannot carry packets takes no place at the edge', async () => {
    const failed = Promise.reject(new CausewayError('TUN_MISSING', 'no /dev/net/tun'));
    // It may have failed before anybody waits for it.
    failed.catch(() => {});
    const joining = run({ token: token(), ready: failed });
    await expect(joining).rejects.toMatchObject({ code: 'TUN_MISSING' });
    expect(edge.asked).toEqual([]);
  });

  test('with an edge key that is none', async () => {
    const low = token(uuid(1_001), edge.pin, keyToBase64(new Uint8Array(32)));
    await expect(run({ token: low })).rejects.toMatchObject({ code: 'JOIN_TOKEN_DAMAGED' });
    expect(edge.asked).toEqual([]);
  });

  test('files are 0600, the directory 0700, and nothing temporary stays', async () => {
    await run({ token: token() });
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const files = readdirSync(folder);
    expect(files.toSorted()).toEqual(['identity.json', 'lock', 'netmap.json', 'private-key']);
    for (const file of files) expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  });

  test('an enrolment that was cut off is repeated with the same key', async () => {
    const good = edge.answer;
    edge.answer = (_, response) => response.destroy();
    await expect(run({ token: token() })).rejects.toMatchObject({ code: 'EDGE_UNREACHABLE' });
    expect(existsSync(join(folder, 'identity.json'))).toBe(false);
    edge.answer = good;
    await run({ token: token() });
    const [first, second] = edge.asked.map(({ body }) => (body as { publicKey: string }).publicKey);
    expect(second).toBe(first);
  });

  test.each([
    ['damaged', (text: string) => `${text.slice(0, -3)}xyz`, 'JOIN_TOKEN_DAMAGED'],
    ['cut off', (text: string) => text.slice(0, 40), 'JOIN_TOKEN_DAMAGED'],
    ['no token', () => 'hello', 'JOIN_TOKEN_DAMAGED'],
    ['for another connector', () => token(uuid(7)), 'ENROLLED_ALREADY'],
  ])('one that is %s', async (what, change, code) => {
    if (what.startsWith('for another')) await run({ token: token() });
    await expect(run({ token: change(token()) })).rejects.toMatchObject({ code });
  });

  test('a wrong pin: the edge is told nothing', async () => {
    await expect(run({ token: token(uuid(1_001), 'f'.repeat(64)) })).rejects.toMatchObject({
      code: 'EDGE_UNTRUSTED',
    });
    expect(edge.asked).toEqual([]);
  });

  test.each([
    ['JOIN_TOKEN_REVOKED', 401],
    ['JOIN_TOKEN_WRONG', 401],
    ['REPLICA_LIMIT', 409],
    ['KEY_TAKEN', 409],
  ])('the edge refuses with %s: its code and its sentence', async (code, status) => {
    edge.answer = (_, response) => problem(response, status, code, 'Because.');
    await expect(run({ token: token() })).rejects.toMatchObject({ code, message: 'Because.' });
    expect(existsSync(join(folder, 'identity.json'))).toBe(false);
  });

  test('an answer that is none of ours', async () => {
    edge.answer = (_, response) => json(response, { hello: 'world' });
    await expect(run({ token: token() })).rejects.toMatchObject({ code: 'EDGE_REFUSED' });
    edge.answer = (_, response) => response.writeHead(500).end('<html>');
    await expect(run({ token: token() })).rejects.toMatchObject({ code: 'EDGE_REFUSED' });
  });

  test.each([
    ['ahead of', -86_400_000],
    ['behind', 86_400_000],
  ])('a clock a day %s the edge’s', async (direction, offset) => {
    time = () => Date.now() + offset;
    const failed = run({ token: token() });
    await expect(failed).rejects.toMatchObject({ code: 'CLOCK_WRONG' });
    await expect(failed).rejects.toThrow(`24 h ${direction} the edge`);
    time = Date.now;
    expect((await run({ token: token() })).fresh).toBe(true);
  });
});

test('without a token on a host that was never enrolled', async () => {
  await expect(run({})).rejects.toMatchObject({ code: 'NOT_ENROLLED' });
});

test('after the edge deleted it: not without a new token, and then with a new key', async () => {
  const first = await run({ token: token() });
  await saveIdentity(state, { ...first.identity, gone: 'The connector was deleted.' });
  await expect(run({})).rejects.toMatchObject({ code: 'CONNECTOR_GONE' });
  const second = await run({ token: token(uuid(1_001)) });
  expect(second.fresh).toBe(true);
  expect(second.privateKey).not.toEqual(first.privateKey);
});

describe('damaged files', () => {
  test.each(['', '{', '{}', '\0\0\0'])('an identity of %j', async (text) => {
    await run({ token: token() });
    writeFileSync(join(folder, 'identity.json'), text);
    await expect(run({})).rejects.toMatchObject({ code: 'IDENTITY_DAMAGED' });
  });

  test('a key that is none, or is gone', async () => {
    await run({ token: token() });
    writeFileSync(join(folder, 'private-key'), 'x');
    await expect(run({})).rejects.toMatchObject({ code: 'IDENTITY_DAMAGED' });
    rmSync(join(folder, 'private-key'));
    await expect(run({})).rejects.toMatchObject({ code: 'IDENTITY_DAMAGED' });
  });

  test.each(['', '{}', '{"netmap":{},"resolved":{}}'])(
    'a netmap of %j counts as none',
    async (text) => {
      await run({ token: token() });
      writeFileSync(join(folder, 'netmap.json'), text);
      expect((await run({})).cached).toBeUndefined();
    },
  );
});

describe('what is advertised', () => {
  test.each([
    ['10.1.2.3/8', 'ROUTE_HOST_BITS'],
    ['10.1.2', 'ROUTE_PREFIX'],
    ['0.0.0.0/0', 'ROUTE_DEFAULT'],
  ])('%s is refused before anything is asked', async (prefix, code) => {
    await expect(run({ token: token(), advertise: [prefix] })).rejects.toMatchObject({ code });
    expect(edge.asked).toEqual([]);
  });

  test('changed at a later start: the edge is told, or later when it does not answer', async () => {
    await run({ token: token(), advertise: ['10.1.0.0/24'] });
    await run({ advertise: ['10.1.0.0/24'] });
    expect(edge.asked).toHaveLength(1);
    const second = await run({ advertise: ['10.2.0.0/24'] });
    expect(edge.asked[1]).toMatchObject({
      method: 'PUT',
      path: '/v1/advertise',
      body: { prefixes: ['10.2.0.0/24'] },
    });
    expect(second.identity.advertisePending).toBe(false);
    await edge[Symbol.asyncDispose]();
    const third = await run({ advertise: ['10.3.0.0/24'] });
    expect(third.identity).toMatchObject({ advertise: ['10.3.0.0/24'], advertisePending: true });
    expect(warnings).toHaveLength(1);
    expect(JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8'))).toMatchObject({
      advertisePending: true,
    });
  });

  test('too often: the start goes on, and the edge is told later', async () => {
    await run({ token: token(), advertise: ['10.1.0.0/24'] });
    edge.answer = (_, response) => {
      response.setHeader('retry-after', '60');
      problem(response, 429, 'TOO_MANY_REQUESTS', 'Later.');
    };
    const { identity } = await run({ advertise: ['10.2.0.0/24'] });
    expect(identity).toMatchObject({ advertise: ['10.2.0.0/24'], advertisePending: true });
    expect(warnings).toHaveLength(1);
  });

  test.each([
    [401, 'UNAUTHORIZED'],
    [410, 'CONNECTOR_GONE'],
    [503, 'STORE_LOCKED'],
  ])(
    'changed when the edge answers %i %s: the start goes on with what is on disk',
    async (...[status, code]) => {
      await run({ token: token() });
      edge.answer = (_, response) => problem(response, status, code, 'Because.');
      const again = await run({ advertise: ['10.2.0.0/24'] });
      expect(again.cached?.netmap.revision).toBe(1);
      expect(again.identity).toMatchObject({ advertise: ['10.2.0.0/24'], advertisePending: true });
      expect(again.identity.gone).toBeUndefined();
      expect(warnings).toEqual([expect.stringContaining('Because.')]);
    },
  );

  test('refused at a later start: an error, and the identity stays as it was', async () => {
    await run({ token: token(), advertise: ['10.1.0.0/24'] });
    edge.answer = (_, response) => problem(response, 400, 'ROUTE_RESERVED', 'No.');
    await expect(run({ advertise: ['100.96.0.0/16'] })).rejects.toMatchObject({
      code: 'ROUTE_RESERVED',
    });
    expect((await run({})).identity.advertise).toEqual(['10.1.0.0/24']);
  });
});

describe('the state directory', () => {
  test('a second daemon with the same identity is refused, and the first goes on', async () => {
    await expect(openStateDirectory(folder)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    await run({ token: token() });
  });

  test('a lock whose holder is dead is taken over', async () => {
    const { createServer } = await import('node:net');
    await state.close();
    const server = createServer().listen(join(folder, 'dead'));
    await new Promise((resolve) => server.once('listening', resolve));
    const { linkSync } = await import('node:fs');
    linkSync(join(folder, 'dead'), join(folder, 'lock'));
    await new Promise((resolve) => server.close(resolve));
    state = await openStateDirectory(folder);
  });

  test('a crash in the middle of writing leaves the old file', async () => {
    await run({ token: token() });
    writeFileSync(join(folder, 'identity.json.new'), '{"half":', { mode: 0o644 });
    expect((await run({})).identity.name).toBe('home');
    await saveIdentity(state, (await run({})).identity);
    expect(existsSync(join(folder, 'identity.json.new'))).toBe(false);
    expect(statSync(join(folder, 'identity.json')).mode & 0o777).toBe(0o600);
  });

  test('a path that is too long for the lock, or a file', async () => {
    const long = join(folder, 'x'.repeat(100));
    await expect(openStateDirectory(long)).rejects.toMatchObject({ code: 'CONFIG_VALUE' });
    writeFileSync(join(folder, 'file'), '');
    await expect(openStateDirectory(join(folder, 'file'))).rejects.toMatchObject({
      code: 'FILE_ACCESS',
    });
  });
});
