/**
 * The edge's certificate is changed: gateways that heard of the next one go on, through the real API
 * and with the gateway's own client, and an edge that ends in the middle comes back with either.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NO_BREAKOUT } from '../../../src/control/breakout.ts';
import type { Netmap } from '../../../src/control/netmap.ts';
import { applyDelta } from '../../../src/control/netmap-delta.ts';
import { edgeViewSchema } from '../../../src/control/operator-api.ts';
import { describeCertificate } from '../../../src/edge/certificate.ts';
import { EdgeCertificates } from '../../../src/edge/next-certificate.ts';
import { createSelfSigned } from '../../../src/edge/self-signed.ts';
import { EdgeClient } from '../../../src/gateway/mesh/edge-client.ts';
import { type EdgeEvent, EdgeStream } from '../../../src/gateway/mesh/edge-stream.ts';
import { type Enrolled, edgesOf, enrol, followEdge } from '../../../src/gateway/mesh/enrolment.ts';
import {
  openStateDirectory,
  type StateDirectory,
} from '../../../src/gateway/mesh/state-directory.ts';
import { EdgeUnderTest, enrolBody, temporaryDirectory, until } from './edge-under-test.ts';

const NEXT = '/v1/certificate/next';
const SWITCH = '/v1/certificate/switch';
const log = pino({ level: 'silent' });

let directory: string;
let edge: EdgeUnderTest;

beforeEach(async () => {
  directory = temporaryDirectory();
  edge = await EdgeUnderTest.start(directory);
});

afterEach(() => edge.stop());

const announce = (body: object = {}) => edge.admin('POST', NEXT, edgeViewSchema, body);
const switchOver = (body: object = {}) => edge.call('POST', SWITCH, { local: true, body });

/** A gateway as far as the edge's API goes: enrolled, and following its netmap. */
class Gateway implements AsyncDisposable {
  netmap: Netmap;
  readonly enrolled: Enrolled;
  readonly #state: StateDirectory;
  readonly #path: string;
  #stream: EdgeStream | undefined;

  private constructor(enrolled: Enrolled, state: StateDirectory, path: string) {
    this.enrolled = enrolled;
    this.netmap = enrolled.cached!.netmap;
    this.#state = state;
    this.#path = path;
  }

  static async join(name: string): Promise<Gateway> {
    const path = temporaryDirectory();
    const state = await openStateDirectory(path);
    const { joinToken } = await edge.create({ name });
    const enrolled = await enrol(state, {
      token: joinToken,
      advertise: undefined,
      allowDefault: false,
      breakout: NO_BREAKOUT,
      ready: Promise.resolve(),
      hostname: 'gw',
      version: '0.0.0',
      log,
      onWarning: () => {},
    });
    return new Gateway(enrolled, state, path);
  }

  async follow(): Promise<void> {
    const { client, identity } = this.enrolled;
    let open = false;
    this.#stream = new EdgeStream({
      client,
      identity,
      netmapId: () => undefined,
      onEvent: async (event) => this.#take(event),
      onState: ({ state }) => {
        open ||= state === 'open';
      },
      log,
    });
    await until(() => open);
  }

  #take(event: EdgeEvent): void {
    if (event.kind === 'netmap') this.netmap = event.netmap;
    if (event.kind === 'delta') this.netmap = applyDelta(this.netmap, event.delta);
    const { client, identity } = this.enrolled;
    client.useEdges(edgesOf(identity, this.netmap));
  }

  async leave(): Promise<void> {
    await this.#stream?.close();
  }

  /** Asks the edge anew, as after a restart, knowing the netmap or only the identity. */
  async ask(netmap: Netmap | undefined = this.netmap): Promise<unknown> {
    const identity = followEdge(this.enrolled.identity, this.netmap);
    const client = new EdgeClient(edgesOf(identity, netmap));
    return client.advertise(identity.credential, { prefixes: [] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
    await this.#state.close();
    rmSync(this.#path, { recursive: true });
  }
}

describe('announced, then used', () => {
  test('connected gateways go on, one that was away is told apart', async () => {
    await using berlin = await Gateway.join('berlin');
    await using paris = await Gateway.join('paris');
    await berlin.follow();
    const { tlsPin, nextTlsPin } = await announce();
    expect(nextTlsPin).toMatch(/^[0-9a-f]{64}$/);
    expect(nextTlsPin).not.toBe(tlsPin);
    await until(() => berlin.netmap.edges[0]!.nextTlsPin === nextTlsPin);
    expect(paris.netmap.edges[0]!.nextTlsPin).toBeUndefined();

    const refused = await switchOver();
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({ code: 'CERTIFICATE' });
    expect(refused.json.detail).toMatch(/^1 of 2 gateways .* \(paris on gw\).*--force/);
    await expect(berlin.ask()).resolves.toBeDefined();

    await berlin.leave();
    expect((await switchOver({ force: true })).json).toMatchObject({ tlsPin: nextTlsPin });
    // With the netmap of before the change, and without any.
    expect(berlin.netmap.edges[0]).toMatchObject({ tlsPin, nextTlsPin });
    await expect(berlin.ask()).resolves.toBeDefined();
    await berlin.follow();
    await until(() => berlin.netmap.edges[0]!.tlsPin === nextTlsPin);
    expect(berlin.netmap.edges[0]).not.toHaveProperty('nextTlsPin');
    const followed = followEdge(berlin.enrolled.identity, berlin.netmap);
    expect(followed.edge.tlsPin).toBe(nextTlsPin);
    expect(followEdge(followed, berlin.netmap)).toBe(followed);
    const client = new EdgeClient(edgesOf(followed, undefined));
    await expect(client.advertise(followed.credential, { prefixes: [] })).resolves.toBeDefined();
    await expect(paris.ask()).rejects.toMatchObject({ code: 'EDGE_UNTRUSTED' });
  });

  test('who enrols meanwhile learns of both, and an open stream stays', async () => {
    await using berlin = await Gateway.join('berlin');
    await berlin.follow();
    const { nextTlsPin } = await announce();
    await using paris = await Gateway.join('paris');
    expect(paris.netmap.edges[0]).toMatchObject({ nextTlsPin });
    await paris.follow();
    expect((await switchOver()).status).toBe(200);
    await until(() => berlin.netmap.edges[0]!.tlsPin === nextTlsPin);
    await expect(paris.ask()).resolves.toBeDefined();
    const { client, identity } = paris.enrolled;
    await expect(client.advertise(identity.credential, { prefixes: [] })).resolves.toBeDefined();
    // The next one after that.
    const again = await announce();
    expect(again).toMatchObject({ tlsPin: nextTlsPin });
    expect(again.nextTlsPin).not.toBe(nextTlsPin);
  });

  test('a restart keeps the announcement, and the next certificate once it is used', async () => {
    const { tlsPin, nextTlsPin } = await announce();
    await edge.edge.close();
    edge = await EdgeUnderTest.start(directory);
    expect(edge.edge.tlsPin).toBe(tlsPin);
    const status = await edge.call('GET', '/v1/status', { local: true });
    expect(status.json.edge).toMatchObject({ tlsPin, nextTlsPin });
    expect((await switchOver()).status).toBe(200);
    await edge.edge.close();
    edge = await EdgeUnderTest.start(directory);
    expect(edge.edge.tlsPin).toBe(nextTlsPin);
    expect((await edge.call('GET', '/v1/status', { local: true })).json.edge).not.toHaveProperty(
      'nextTlsPin',
    );
  });

  test('taken back, it is nobody’s', async () => {
    const { tlsPin } = await announce();
    const taken = await edge.admin('DELETE', NEXT, edgeViewSchema);
    expect(taken.tlsPin).toBe(tlsPin);
    expect(taken).not.toHaveProperty('nextTlsPin');
    const refused = await switchOver();
    expect(refused.json.detail).toMatch(/No next certificate is announced/);
  });

  test('where nothing is announced that is said, whoever is away', async () => {
    const { joinToken } = await edge.create({ name: 'berlin' });
    await edge.call('POST', '/v1/enrol', { body: enrolBody(joinToken) });
    expect((await switchOver()).json.detail).toMatch(/No next certificate is announced/);
    await announce();
    expect((await switchOver()).json.detail).toMatch(/1 of 1 gateways are not connected/);
  });

  test('a file that cannot be written is named', async () => {
    mkdirSync(join(directory, 'next.key.new'));
    const { json, status } = await edge.call('POST', NEXT, { local: true, body: {} });
    expect({ status, code: json.code }).toEqual({ status: 503, code: 'FILE_ACCESS' });
    expect(json.detail).toMatch(/next\.key cannot be written/);
  });

  test('what is no certificate, or the one in use, is refused', async () => {
    const nothing = await edge.call('POST', NEXT, { local: true, body: { certificate: 'x' } });
    expect(nothing.json).toMatchObject({ code: 'CERTIFICATE', status: 409 });
    const certificate = readFileSync(join(directory, 'tls.crt'), 'utf8');
    const same = await edge.call('POST', NEXT, { local: true, body: { certificate } });
    expect(same.json.detail).toMatch(/accept this certificate already/);
    expect((await edge.call('POST', NEXT, { token: await edge.token('read-only') })).status).toBe(
      403,
    );
  });
});

describe("the operator's own", () => {
  const now = () => new Date();

  async function open(files: { certificate: string; key: string } | null) {
    return EdgeCertificates.open({ directory, files, names: ['edge.example'], now });
  }

  async function made(name: string) {
    const pair = await createSelfSigned([`${name}.example`], now());
    const files = {
      certificate: join(directory, `${name}.pem`),
      key: join(directory, `${name}.k`),
    };
    writeFileSync(files.certificate, pair.certificate);
    writeFileSync(files.key, pair.key);
    return { files, text: pair.certificate, ...describeCertificate(pair.certificate, name, now()) };
  }

  test('is announced without its key, and used by a start with it', async () => {
    const mine = await made('mine');
    const before = await open(null);
    const { tlsPin } = before.pins;
    expect(await before.announce(mine.text)).toEqual({ tlsPin, nextTlsPin: mine.pin });
    await expect(before.switch()).rejects.toThrow('takes a restart');
    expect((await open(null)).pins).toEqual({ tlsPin, nextTlsPin: mine.pin });
    const after = await open(mine.files);
    expect(after.pins).toEqual({ tlsPin: mine.pin, nextTlsPin: undefined });
    // Back to the edge's own: announced, then a start with --self-signed.
    expect(await after.announce(undefined)).toEqual({ tlsPin: mine.pin, nextTlsPin: tlsPin });
    expect((await open(null)).pins).toEqual({ tlsPin, nextTlsPin: undefined });
  });

  test('a crash in the middle of a switch: the start finishes it', async () => {
    const before = await open(null);
    const { nextTlsPin } = await before.announce(undefined);
    writeFileSync(join(directory, 'tls.key'), readFileSync(join(directory, 'next.key')));
    const after = await open(null);
    expect(after.pins).toEqual({ tlsPin: nextTlsPin, nextTlsPin: undefined });
    expect((await open(null)).pins).toEqual(after.pins);
  });

  test.each([
    ['the announcement taken back', (certificates: EdgeCertificates) => certificates.cancel()],
    ['another one announced', (certificates: EdgeCertificates) => certificates.announce(undefined)],
  ])('a switch that failed half-way, then %s: the one in use is kept', async (_, then) => {
    const before = await open(null);
    const { tlsPin } = before.pins;
    await before.announce(undefined);
    // The key is written, its certificate cannot be.
    const inTheWay = join(directory, 'tls.crt.new');
    mkdirSync(inTheWay);
    await expect(before.switch()).rejects.toMatchObject({ code: 'FILE_ACCESS' });
    // As long as that lasts, what would lose the key in use is refused; else it does as it says.
    await then(before).catch(() => {});
    rmSync(inTheWay, { recursive: true });
    const { nextTlsPin } = await then(before);
    expect((await open(null)).pins).toEqual({ tlsPin, nextTlsPin });
    expect(before.current.pin).toBe(tlsPin);
  });

  test('a crash before the next one is announced: as if nothing had been', async () => {
    const { pins } = await open(null);
    writeFileSync(join(directory, 'next.key'), 'half');
    expect((await open(null)).pins).toEqual(pins);
  });
});
