/** An edge on loopback with real TLS and a real registry, and a relay that only remembers. */

import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { x25519 } from '@noble/curves/ed25519.js';
import { pino } from 'pino';
import type { z } from 'zod';
import { type EnrolResponse, enrolResponseSchema } from '../../../src/control/api.ts';
import { enrolmentProof } from '../../../src/control/enrolment-proof.ts';
import { decodeJoinToken } from '../../../src/control/join-token.ts';
import {
  type ConnectorCreate,
  connectorCreatedSchema,
  tokenCreatedSchema,
} from '../../../src/control/operator-api.ts';
import type { PairClasses } from '../../../src/control/relay/pair-permissions.ts';
import { hashSecret } from '../../../src/control/secrets.ts';
import { createBearer } from '../../../src/edge/bearer.ts';
import { openEdge, type RunningEdge } from '../../../src/edge/edge.ts';
import type {
  BindingEnd,
  BindingListener,
  RelayOptions,
  RelayProcess,
  RelayReplicaChange,
  RelayStatistics,
} from '../../../src/edge/relay/relay.ts';
import { keyFromBase64, keyToBase64 } from '../../../src/keys.ts';

/** Knows who may bind, and says that they did when the test does. */
export class FakeRelay implements RelayProcess {
  readonly port = 51_820;
  readonly publicKey: Uint8Array;
  readonly replicas = new Map<number, string>();
  /** By virtual network. */
  readonly pairs = new Map<string, PairClasses>();
  readonly #ended = Promise.withResolvers<Error | undefined>();
  readonly closed = this.#ended.promise;
  #listeners = new Set<BindingListener>();

  constructor({ replicas, privateKey }: RelayOptions) {
    this.publicKey = x25519.getPublicKey(privateKey);
    for (const { relayId, vnet } of replicas) this.replicas.set(relayId, vnet);
  }

  async setReplicas(changes: readonly RelayReplicaChange[]): Promise<void> {
    for (const change of changes) {
      if (change.remove) this.replicas.delete(change.relayId);
      else this.replicas.set(change.relayId, change.vnet);
    }
  }

  setPairs(vnet: string, pairs: PairClasses | undefined): void {
    if (pairs === undefined) this.pairs.delete(vnet);
    else this.pairs.set(vnet, pairs);
  }

  onBinding(listener: BindingListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  bind(relayId: number, bound = true, end?: BindingEnd): void {
    const endpoint = '192.0.2.1:4500';
    for (const listener of this.#listeners) listener(relayId, bound, Date.now(), endpoint, end);
  }

  /** As when the worker hangs for so many milliseconds. */
  silentFor = 0;

  silence(): number {
    return this.silentFor;
  }

  /** As when the worker fails. */
  end(error: Error): void {
    this.#ended.resolve(error);
  }

  bindings(): [] {
    return [];
  }

  statistics(): RelayStatistics {
    const pairs = [{ from: 1, to: 2, packets: 3, bytes: 400 }];
    const drops = [['unknown_source', 7]] as unknown as RelayStatistics['drops'];
    return { bound: 0, forwardedPackets: 3, forwardedBytes: 400, drops, pairs };
  }

  async close(): Promise<void> {}
}

/** A replica, with the credential that it made for itself. */
export type Joined = EnrolResponse & { readonly credential: string };

/** Fields of an enrolment; the proof is of `privateKey` unless it is given itself. */
export type EnrolChange = Record<string, unknown> & { readonly privateKey?: Uint8Array };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** Of the text as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it freely
  readonly json: any;
}

export interface Call {
  readonly token?: string | undefined;
  readonly body?: unknown;
  /** Sent as it is, instead of `body` as JSON. */
  readonly text?: string;
  readonly headers?: Record<string, string>;
  /** Over the unix socket. */
  readonly local?: boolean;
}

export class EdgeUnderTest {
  readonly edge: RunningEdge;
  readonly relay: FakeRelay;
  readonly directory: string;
  /** What was logged. */
  readonly logged: string[];

  private constructor(edge: RunningEdge, relay: FakeRelay, directory: string, logged: string[]) {
    this.edge = edge;
    this.relay = relay;
    this.directory = directory;
    this.logged = logged;
  }

  static async start(directory = temporaryDirectory(), patience = 0): Promise<EdgeUnderTest> {
    const logged: string[] = [];
    let relay: FakeRelay | undefined;
    const edge = await openEdge({
      directory,
      settings: { listen: { host: '127.0.0.1', port: 0 }, public: ['127.0.0.1'] },
      version: '0.0.0-test',
      log: pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) }),
      openRelay: async (options) => {
        relay = new FakeRelay(options);
        return relay;
      },
      patience,
    });
    return new EdgeUnderTest(edge, relay!, directory, logged);
  }

  /** Any request; with neither `token` nor `local` an unauthenticated one. */
  async call(method: string, path: string, call: Call = {}): Promise<Answer> {
    const response = await this.open(method, path, call);
    const text = await readText(response);
    const isJson = /json/.test(response.headers['content-type'] ?? '');
    return {
      status: response.statusCode!,
      headers: response.headers,
      text,
      json: isJson ? JSON.parse(text) : undefined,
    };
  }

  open(method: string, path: string, call: Call = {}): Promise<IncomingMessage> {
    const { token, body, local, headers } = call;
    const text = call.text ?? (body === undefined ? undefined : JSON.stringify(body));
    const options: RequestOptions = {
      method,
      path,
      agent: false,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(text !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const sent = local
      ? httpRequest({ ...options, socketPath: this.edge.socketPath }, resolve)
      : httpsRequest(
          { ...options, host: '127.0.0.1', port: this.edge.port, rejectUnauthorized: false },
          resolve,
        );
    sent.on('error', reject);
    sent.end(text);
    return promise;
  }

  /** As an admin on the edge's host; fails the test unless the answer is of the schema. */
  async admin<S extends z.ZodType>(
    method: string,
    path: string,
    schema: S,
    body?: unknown,
  ): Promise<z.output<S>> {
    const answer = await this.call(method, path, { local: true, body });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.text}`);
    return schema.parse(answer.json);
  }

  async token(
    role: 'admin' | 'read-only',
    name = `t-${randomUUID().slice(0, 8)}`,
  ): Promise<string> {
    const body = { name, role };
    return (await this.admin('POST', '/v1/tokens', tokenCreatedSchema, body)).secret;
  }

  create(body: ConnectorCreate): Promise<z.output<typeof connectorCreatedSchema>> {
    return this.admin('POST', '/v1/connectors', connectorCreatedSchema, body);
  }

  /** Joins with a join token and a random key and credential. */
  async enrol(joinToken: string, change: EnrolChange = {}): Promise<Joined> {
    const credential = createBearer('replica');
    const body = enrolBody(joinToken, { credentialHash: hashSecret(credential), ...change });
    const answer = await this.call('POST', '/v1/enrol', { body });
    if (answer.status !== 201) throw new Error(answer.text);
    return { ...enrolResponseSchema.parse(answer.json), credential };
  }

  /** A connector with one replica. */
  async join(create: ConnectorCreate): Promise<Joined> {
    return this.enrol((await this.create(create)).joinToken);
  }

  async stop(): Promise<void> {
    await this.edge.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function enrolBody(
  joinToken: string,
  { privateKey = x25519.utils.randomSecretKey(), ...change }: EnrolChange = {},
): Record<string, unknown> {
  const token = decodeJoinToken(joinToken);
  if (!token.ok) throw new Error(token.message);
  const { connector, secret, edgePublicKey } = token.value;
  const request = {
    connector,
    secret,
    publicKey: keyToBase64(x25519.getPublicKey(privateKey)),
    credentialHash: hashSecret(createBearer('replica')),
    hostname: 'gw',
    version: '0.0.0-test',
    advertise: [],
    ...change,
  };
  const edgeKey = keyFromBase64(edgePublicKey)!;
  const shared = x25519.getSharedSecret(privateKey, edgeKey);
  const valid = keyFromBase64(request.publicKey) !== undefined;
  const proof = valid ? enrolmentProof(shared, edgeKey, request) : '0'.repeat(64);
  return { proof, ...request };
}

export function randomPublicKey(): string {
  return keyToBase64(new Uint8Array(randomBytes(32)));
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'causeway-edge-'));
}

export async function readText(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const part of response) text += part;
  return text;
}

/** Waits until the condition holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
