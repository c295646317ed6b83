/**
 * Runs inside a namespace: `node handshake-load.ts SETTINGS`. Builds initiations of many peers, then
 * keeps a small window of them in flight (too small to put the responder under load, where it owes
 * cookies, not responses) and counts the responses. Prints one line of JSON.
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { keyFromBase64 } from '../../src/keys.ts';
import { CookieGenerator } from '../../src/wireguard/cookies.ts';
import { createInitiation, Handshake } from '../../src/wireguard/handshake.ts';
import { RESPONSE_SIZE, TYPE_RESPONSE } from '../../src/wireguard/messages.ts';
import { noblePrimitives } from '../../src/wireguard/noble-primitives.ts';
import { encodeTimestamp } from '../../src/wireguard/tai64n.ts';
import { opensslCurve } from '../openssl-curve.ts';

export interface Settings {
  readonly address: string;
  readonly port: number;
  /** Keys are base64. */
  readonly responder: string;
  readonly initiators: readonly { readonly privateKey: string; readonly publicKey: string }[];
  /** Initiations of each initiator, a second of timestamps apart. */
  readonly rounds: number;
  readonly window: number;
  readonly seconds: number;
}

/** An initiation without an answer after this many milliseconds counts as lost. */
const LOST_AFTER = 500;

const primitives = { ...noblePrimitives, ...opensslCurve };
const settings = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Settings;
const responder = keyFromBase64(settings.responder)!;

function buildInitiations(): Uint8Array[] {
  const built: Uint8Array[] = [];
  const macs = new CookieGenerator(responder, primitives);
  const shared = settings.initiators.map(({ privateKey }) => {
    const out = new Uint8Array(32);
    opensslCurve.x25519(out, keyFromBase64(privateKey)!, responder);
    return out;
  });
  for (let round = 0; round < settings.rounds; round++) {
    const timestamp = encodeTimestamp(Date.now() + round * 1000);
    for (const [i, { privateKey, publicKey }] of settings.initiators.entries()) {
      const identity = {
        privateKey: keyFromBase64(privateKey)!,
        publicKey: keyFromBase64(publicKey)!,
      };
      const ephemeral = crypto.getRandomValues(new Uint8Array(32));
      const message = createInitiation(
        new Handshake(),
        primitives,
        identity,
        responder,
        shared[i]!,
        ephemeral,
        timestamp,
        built.length + 1,
      )!;
      macs.addMacs(message, 0);
      built.push(message);
    }
  }
  return built;
}

const initiations = buildInitiations();
const socket = createSocket('udp4');
const inFlight = new Map<number, number>();
let next = 0;
let answered = 0;
let lost = 0;
let started = 0;

function sendNext(): void {
  const message = initiations[next];
  if (!message) return;
  next += 1;
  inFlight.set(next, performance.now());
  socket.send(message, settings.port, settings.address);
}

function finish(): void {
  const seconds = (performance.now() - started) / 1000;
  process.stdout.write(`${JSON.stringify({ answered, lost, seconds })}\n`);
  process.exit(0);
}

socket.on('message', (bytes) => {
  if (bytes.length !== RESPONSE_SIZE || bytes.readUInt32LE(0) !== TYPE_RESPONSE) return;
  if (!inFlight.delete(bytes.readUInt32LE(8))) return;
  answered += 1;
  if (performance.now() - started > settings.seconds * 1000) finish();
  sendNext();
  if (inFlight.size === 0) finish();
});

// The window must not dry up when datagrams are lost.
setInterval(() => {
  const now = performance.now();
  for (const [index, sent] of inFlight) {
    if (now - sent < LOST_AFTER) continue;
    inFlight.delete(index);
    lost += 1;
    sendNext();
  }
  if (inFlight.size === 0 || now - started > settings.seconds * 1000 + 1000) finish();
}, 100);

socket.bind(0, () => {
  started = performance.now();
  for (let i = 0; i < settings.window; i++) sendNext();
});
