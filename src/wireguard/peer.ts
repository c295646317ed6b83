/** Everything about one peer: what was configured, its handshake, its sessions (whitepaper § 2, 5.4). */
import { wipe } from '../bytes.ts';
import type { PublicKey } from '../keys.ts';
import type { Symmetric } from '../primitives.ts';
import { CookieGenerator } from './cookies.ts';
import { Handshake } from './handshake.ts';
import type { Keypair } from './keypair.ts';
import type { Path } from './path.ts';
import { type StagingBudget, StagingQueue } from './staging.ts';
import { TIMESTAMP_SIZE } from './tai64n.ts';
import { RELAY_SILENCE } from './timers.ts';

const NEVER = Number.NEGATIVE_INFINITY;

export class Peer {
  /** Small, reused: the peer's endpoint record, its statistics and its value among allowed IPs. */
  readonly number: number;
  readonly publicKey: PublicKey;
  /** Q; all zero without one. */
  readonly presharedKey = new Uint8Array(32);
  /** DH(S_priv, S_pub) of ours and the peer's; computed when first needed, empty before. */
  staticStatic: Uint8Array | undefined = undefined;
  /** Milliseconds, 0 = off. */
  persistentKeepalive = 0;

  readonly handshake = new Handshake();
  readonly cookies: CookieGenerator;
  /** Timestamp of the newest initiation of the peer. */
  readonly lastTimestamp = new Uint8Array(TIMESTAMP_SIZE);
  /** Monotonic time of the peer's last accepted initiation. */
  lastInitiation = NEVER;
  /** Unix time written into our last initiation: the next one must be later. */
  lastTimestampSent = 0;
  /** Monotonic time of our last initiation or response. */
  lastSentHandshake = NEVER;
  /** Endpoint record that our last initiation went to. */
  initiationTo: Int32Array | undefined = undefined;
  /** Its answer has come from there. */
  answered = false;
  /** When a change of the network cut the wait for a handshake short last. */
  lastHurried = NEVER;
  /** Retries of the current initiation. */
  attempts = 0;

  /** The session before `current`: still opens what is under way. */
  previous: Keypair | undefined = undefined;
  /** The session that seals. */
  current: Keypair | undefined = undefined;
  /** As responder: a session that the initiator has not confirmed with data yet. */
  next: Keypair | undefined = undefined;

  readonly staged: StagingQueue;
  /** Data came while a keepalive was waiting already: another one is due after it. */
  needAnotherKeepalive = false;
  /** The handshake that data received late in a session's life asks for has been started. */
  sentLastMinuteHandshake = false;

  /** Of a peer of our own kind, else undefined. */
  path: Path | undefined = undefined;
  /** Data sent from this time on, monotonic, has the path looked at. */
  pathDue = Number.POSITIVE_INFINITY;
  /** Bytes of the largest inner packet that the path is taken to carry; 0 = not looked for. */
  pathMtu = 0;
  /** Bytes of the longest message since the path was looked at. */
  largestSent = 0;
  /** Runs with a message longer than this are looked at before they are sent (oversize.ts). 0 = all. */
  inspectAbove = Number.POSITIVE_INFINITY;

  /** Of an edge: how long its relay may be silent until it is told where we are, in ms. */
  probeAfter = RELAY_SILENCE;

  /** In the queue of peers that have something to transmit. */
  queued = false;
  wantsInitiation = false;
  /** Copies of a farewell to be sent (farewells.ts). */
  farewells = 0;
  /** A response with its macs, not sent yet. */
  response: Uint8Array | undefined = undefined;

  constructor(number: number, publicKey: PublicKey, budget: StagingBudget, by: Symmetric) {
    this.number = number;
    this.publicKey = publicKey;
    this.cookies = new CookieGenerator(publicKey, by);
    this.staged = new StagingQueue(budget);
  }

  /** After our private key changed, or before the peer is forgotten. */
  forgetStaticStatic(): void {
    if (this.staticStatic !== undefined) wipe(this.staticStatic);
    this.staticStatic = undefined;
  }
}
