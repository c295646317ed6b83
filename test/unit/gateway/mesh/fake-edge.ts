/** An edge's API for tests, on the loopback: real TLS, answers as the test wants them. */
import { createHash, X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSelfSigned } from '../../../../src/edge/self-signed.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly lastEventId: string | undefined;
  readonly body: unknown;
}

export type Answer = (asked: Asked, response: ServerResponse) => void;

export class FakeEdge implements AsyncDisposable {
  readonly url: string;
  /** Of its certificate's key. */
  readonly pin: string;
  /** PEM. */
  readonly certificate: string;
  readonly asked: Asked[] = [];
  /** Open streams. */
  readonly streams = new Set<ServerResponse>();
  answer: Answer = (_, response) => problem(response, 404, 'NOT_FOUND', 'nothing here');
  readonly #server: Server;
  #onAsked: (() => void)[] = [];

  private constructor(server: Server, certificate: string) {
    this.#server = server;
    this.certificate = certificate;
    const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
    this.pin = createHash('sha256').update(spki).digest('hex');
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#take(request, response);
    });
  }

  static async open(port = 0): Promise<FakeEdge> {
    const { certificate, key } = await createSelfSigned(['127.0.0.1'], new Date());
    const server = createServer({ cert: certificate, key });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return new FakeEdge(server, certificate);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const part of request) text += part;
    const asked: Asked = {
      method: request.method ?? '',
      path: request.url ?? '',
      authorization: request.headers.authorization,
      lastEventId: request.headers['last-event-id'] as string | undefined,
      body: text === '' ? undefined : JSON.parse(text),
    };
    this.asked.push(asked);
    this.answer(asked, response);
    for (const tell of this.#onAsked.splice(0)) tell();
  }

  /** The next request. */
  async next(): Promise<Asked> {
    await new Promise<void>((resolve) => this.#onAsked.push(resolve));
    return this.asked.at(-1)!;
  }

  /** Begins a stream of events. */
  stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
  }

  send(name: string, data: unknown, id?: number | string): void {
    const text = `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
    for (const stream of this.streams) stream.write(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function problem(
  response: ServerResponse,
  status: number,
  code: string,
  detail: string,
): void {
  const body = { type: `urn:causeway:error:${code}`, title: 'No', status, detail, code };
  response
    .writeHead(status, { 'content-type': 'application/problem+json' })
    .end(JSON.stringify(body));
}
