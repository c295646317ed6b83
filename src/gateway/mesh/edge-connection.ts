/**
 * A TLS connection to an edge's API that is known to be the edge's before a byte of ours is sent: by
 * a pin of its public key (SHA-256 of the SubjectPublicKeyInfo, as in RFC 7469 § 2.4) that came with
 * the join token or a netmap, or where there is none by a certificate authority. An edge that has
 * announced its next certificate is known by either.
 *
 * With a pin, name and dates of the certificate do not matter: a gateway whose clock is wrong, or an
 * edge whose certificate has run out, still find each other.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, getCACertificates, type TLSSocket } from 'node:tls';
import { CausewayError } from '../../errors.ts';

/** For name resolution, TCP and TLS together. */
const CONNECT_TIMEOUT_MS = 10_000;

/** 64 hexadecimal digits; null = an authority vouches. */
export type TlsPin = string | null;

/** What an edge is known by: the pin of its certificate, and of the next one if that is announced. */
export function pinsOf(edge: {
  readonly tlsPin: TlsPin;
  readonly nextTlsPin?: TlsPin | undefined;
}): TlsPin[] {
  return edge.nextTlsPin === undefined ? [edge.tlsPin] : [edge.tlsPin, edge.nextTlsPin];
}

/**
 * @param url `https://HOST[:PORT]`
 * @param pins any of them will do
 * @throws CausewayError EDGE_UNREACHABLE, EDGE_UNTRUSTED
 */
export function connectToEdge(
  url: string,
  pins: readonly TlsPin[],
  signal?: AbortSignal,
): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({
    host,
    port: Number(port || 443),
    ...(isIP(host) === 0 && { servername: host }),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.3',
    // What the authorities say is asked below, of a key that no pin names.
    rejectUnauthorized: false,
    ca: pins.includes(null) ? authorities() : [],
  });
  socket.setNoDelay(true);
  const fail = (error: unknown): void => {
    socket.destroy();
    reject(explain(url, error));
  };
  const timer = setTimeout(
    () => fail(new Error(`no answer within ${CONNECT_TIMEOUT_MS / 1_000} s`)),
    CONNECT_TIMEOUT_MS,
  );
  const onAbort = (): void => fail(new Error('it was given up'));
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  socket.once('error', fail);
  socket.once('secureConnect', () => {
    const pin = pinOf(socket);
    const vouched = pins.includes(null) && socket.authorized;
    if (vouched || (pin !== undefined && pins.includes(pin))) resolve(socket);
    else fail(pins.includes(null) ? new NotVouched(socket.authorizationError) : new WrongPin());
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off('error', fail);
    // Until the next owner listens; an error without a listener would end the process.
    socket.on('error', () => {});
    signal?.removeEventListener('abort', onAbort);
  });
}

class WrongPin extends Error {}

/** No authority vouches for the certificate, or not for this name or time. */
class NotVouched extends Error {
  constructor(reason: unknown) {
    super(reason instanceof Error ? reason.message : String(reason));
  }
}

function pinOf(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}

/**
 * Those that Node.js brings along and those of the system, where an operator adds his own. Which of them
 * are the default depends on how Node.js was started (bin/connector).
 */
export function authorities(): string[] {
  const stores = ['bundled', 'default', 'system'] as const;
  return [...new Set(stores.flatMap((store) => getCACertificates(store)))];
}

function explain(url: string, error: unknown): CausewayError {
  const { message, code = '' } = error as NodeJS.ErrnoException;
  if (error instanceof WrongPin) {
    const text = `The edge at ${url} shows another key than it is known by here: it is not that edge, or its certificate was changed without having been announced here.`;
    return new CausewayError('EDGE_UNTRUSTED', text);
  }
  if (error instanceof NotVouched) {
    const text = `The certificate of the edge at ${url} is not accepted (${message}): check it, and the clock of this host.`;
    return new CausewayError('EDGE_UNTRUSTED', text, { cause: error });
  }
  // Of several addresses that were all tried, the first one's error says it.
  const first =
    error instanceof AggregateError ? (error.errors[0] as Error | undefined) : undefined;
  // Node.js adds the address that it would have come from, which is none: " - Local (0.0.0.0:0)".
  const said = (first?.message ?? message).replace(/ - Local \(.*\)$/, '');
  const reason = said || code || 'no reason given';
  const text = `The edge at ${url} cannot be reached (${reason}): see that it runs, and that TCP to it passes.`;
  return new CausewayError('EDGE_UNREACHABLE', text, { cause: error });
}
