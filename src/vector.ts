/**
 * The vectors that the data plane works on: many messages in one arena, described by columns.
 *
 * An entry is a *run*: `count` messages of `stride` bytes each, one behind the other, the last one
 * `lastSize` bytes long (≤ stride). One TCP super-packet of the TUN, or one GRO super-datagram of a
 * socket, is one entry, so that everything above the bytes is done once per run, not per packet.
 *
 * A message occupies `16 header | plaintext, zero-padded | 16 tag`. The arena and the columns are
 * plain memory that the native addon reads and writes too: the order of the columns in
 * `OutboundVector` and `InboundVector` is the layout in `native/vector.h`.
 *
 * Ownership: whoever runs a visit of the event loop owns the vector until the visit ends.
 */

/** WireGuard transport data: 16 bytes of header, 16 bytes of Poly1305 tag. */
export const MESSAGE_HEADER_SIZE = 16;
export const MESSAGE_TAG_SIZE = 16;
export const MESSAGE_OVERHEAD = MESSAGE_HEADER_SIZE + MESSAGE_TAG_SIZE;

/** Largest UDP payload over IPv4: no message is longer. */
export const MAX_DATAGRAM_SIZE = 65_507;

/** `slot` of an entry that is not to be sealed, opened or sent: dropped, or staged elsewhere. */
export const SLOT_NONE = -1;
/** `slot` of an entry that is sent as it stands: a handshake message or a cookie reply. */
export const SLOT_COMPLETE = -2;

/** `slot` of a run whose packets follow as runs of their own. */
export const SLOT_REPLACED = -3;
/**
 * `slot` of a run that was dropped: this less the reason's number in `DROP_REASON_NAMES`, for who looks
 * at what becomes of packets. Like every other negative slot it is not sealed, opened or sent.
 */
export const SLOT_DROPPED = -16;

/** `handle` of what the native layer has not bound yet. */
export const UNBOUND = -1;

/** Bytes of one endpoint record, see `EndpointTable`. */
export const ENDPOINT_RECORD_SIZE = 48;
export const ENDPOINT_RECORD_WORDS = ENDPOINT_RECORD_SIZE / 4;

/**
 * Endpoint records in shared plain memory; everywhere in the program an endpoint is an index here.
 *
 * One record, 12 little-endian 32-bit words:
 *   0      address family (4 or 6; 0 = no endpoint) in the low half, port in the high half
 *   1..4   remote address, network byte order; IPv4 in word 1, the others 0
 *   5      IPv6 scope id (interface index of a link-local address)
 *   6..9   local address to answer from (sticky source), same form; all 0 = the kernel's choice
 *   10     interface index that the local address is bound to; 0 = by routing
 *   11     relay id, 0 = none (direct, or a stock peer)
 */
export class EndpointTable {
  /** The native layer's name for it. */
  handle = UNBOUND;
  readonly capacity: number;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;

  constructor(
    capacity: number,
    buffer: ArrayBufferLike = new ArrayBuffer(capacity * ENDPOINT_RECORD_SIZE),
  ) {
    this.capacity = capacity;
    this.words = new Int32Array(buffer);
    this.bytes = new Uint8Array(buffer);
  }
}

/**
 * A run of messages on the way from the TUN (or from the protocol itself) to the sockets.
 *
 *   offset    byte offset in the arena of the first message's header
 *   stride    bytes of every message but the last, header and tag included
 *   count     messages in the run, ≥ 1
 *   lastSize  bytes of the last message
 *   head      first four bytes of each message as a little-endian word: type | relay id << 8
 *   receiver  the peer's index for the session (transport data)
 *   counter   counter of the first message; the others follow
 *   slot      key slot to seal with, or SLOT_NONE, SLOT_COMPLETE, or SLOT_DROPPED and below
 *   endpoint  index of the destination in the endpoint table
 */
export class OutboundVector {
  /** The native layer's name for it. */
  handle = UNBOUND;
  readonly capacity: number;
  readonly arena: Uint8Array;
  readonly columns: ArrayBuffer;
  readonly offset: Int32Array;
  readonly stride: Int32Array;
  readonly count: Int32Array;
  readonly lastSize: Int32Array;
  readonly head: Uint32Array;
  readonly receiver: Uint32Array;
  readonly slot: Int32Array;
  readonly endpoint: Int32Array;
  readonly counter: Float64Array;
  /** Entries in use. */
  length = 0;
  /** Arena bytes in use. */
  used = 0;

  /** @param arena its size, or the arena of another vector whose messages are sent on */
  constructor(capacity: number, arena: number | Uint8Array) {
    this.capacity = capacity;
    this.arena = typeof arena === 'number' ? new Uint8Array(new ArrayBuffer(arena)) : arena;
    const columns = new ArrayBuffer(capacity * (8 * 4 + 8));
    this.columns = columns;
    this.offset = new Int32Array(columns, 0, capacity);
    this.stride = new Int32Array(columns, capacity * 4, capacity);
    this.count = new Int32Array(columns, capacity * 8, capacity);
    this.lastSize = new Int32Array(columns, capacity * 12, capacity);
    this.head = new Uint32Array(columns, capacity * 16, capacity);
    this.receiver = new Uint32Array(columns, capacity * 20, capacity);
    this.slot = new Int32Array(columns, capacity * 24, capacity);
    this.endpoint = new Int32Array(columns, capacity * 28, capacity);
    this.counter = new Float64Array(columns, capacity * 32, capacity);
  }

  clear(): void {
    this.length = 0;
    this.used = 0;
  }
}

/** Per-message results of `openVector`; negative values of `InboundVector.plain`. */
export const OPEN_FAILED = -1;
/** Set by the protocol after opening: a replayed or too old counter. */
export const OPEN_REPLAYED = -2;

/**
 * Runs of received messages: consecutive datagrams of one receive buffer with the same first eight
 * bytes (type, reserved bytes and, for transport data, receiver index) and the same size. A datagram
 * shorter than eight bytes is a run of its own with head and receiver 0.
 *
 *   offset, stride, count, lastSize, head, receiver, slot   as in OutboundVector
 *   source    index of the endpoint record (in `sources`) that the run came from
 *   first     index of the run's first message in the per-message columns
 *
 * Per message, filled by opening:
 *   plain     bytes of plaintext, padding included (0 = keepalive), or OPEN_FAILED, OPEN_REPLAYED
 *   counter   the message's counter; values above 2^53 read as Infinity
 *
 * The plaintext of message k of run i lies at offset[i] + k * stride[i] + MESSAGE_HEADER_SIZE.
 */
export class InboundVector {
  /** The native layer's name for it. */
  handle = UNBOUND;
  readonly capacity: number;
  readonly messageCapacity: number;
  readonly arena: Uint8Array;
  readonly columns: ArrayBuffer;
  readonly offset: Int32Array;
  readonly stride: Int32Array;
  readonly count: Int32Array;
  readonly lastSize: Int32Array;
  readonly head: Uint32Array;
  readonly receiver: Uint32Array;
  readonly slot: Int32Array;
  readonly source: Int32Array;
  readonly first: Int32Array;
  readonly plain: Int32Array;
  readonly counter: Float64Array;
  /** Record b is that of receive buffer b; spare ones for the protocol's use behind them. */
  readonly sources: EndpointTable;
  /** Receive buffers, each an equal part of the arena. */
  readonly buffers: number;
  /** What the opened packets are gathered into. */
  readonly groups: PacketGroups;
  /** Runs in use. */
  length = 0;
  /** Messages in use. */
  messages = 0;

  /** @param spare source records behind those of the buffers: as many as runs, or none */
  constructor(
    capacity: number,
    messageCapacity: number,
    arenaSize: number,
    buffers: number,
    spare = 0,
  ) {
    this.capacity = capacity;
    this.messageCapacity = messageCapacity;
    this.arena = new Uint8Array(new ArrayBuffer(arenaSize));
    const perRun = capacity * 4;
    const columns = new ArrayBuffer(messageCapacity * 12 + perRun * 9);
    this.columns = columns;
    this.counter = new Float64Array(columns, 0, messageCapacity);
    this.plain = new Int32Array(columns, messageCapacity * 8, messageCapacity);
    const base = messageCapacity * 12;
    this.offset = new Int32Array(columns, base, capacity);
    this.stride = new Int32Array(columns, base + perRun, capacity);
    this.count = new Int32Array(columns, base + perRun * 2, capacity);
    this.lastSize = new Int32Array(columns, base + perRun * 3, capacity);
    this.head = new Uint32Array(columns, base + perRun * 4, capacity);
    this.receiver = new Uint32Array(columns, base + perRun * 5, capacity);
    this.slot = new Int32Array(columns, base + perRun * 6, capacity);
    this.source = new Int32Array(columns, base + perRun * 7, capacity);
    this.first = new Int32Array(columns, base + perRun * 8, capacity);
    this.sources = new EndpointTable(buffers + spare);
    this.buffers = buffers;
    this.groups = new PacketGroups(messageCapacity);
  }

  clear(): void {
    this.length = 0;
    this.messages = 0;
  }
}

/**
 * What opened packets were gathered into before they are written to the TUN: GRO's super-packets, or
 * single packets. The layout is `GroupColumns` in `native/coalesce.h`.
 *
 *   run      index of the run in the inbound vector that the group's packets came in
 *   offset   of the group's first packet in the arena
 *   packets  how many it holds; 0 keeps it from being written
 */
export class PacketGroups {
  readonly columns: ArrayBuffer;
  readonly run: Int32Array;
  readonly offset: Int32Array;
  readonly packets: Int32Array;
  /** Groups in use. */
  length = 0;

  constructor(capacity: number) {
    const columns = new ArrayBuffer(capacity * 12);
    this.columns = columns;
    this.run = new Int32Array(columns, 0, capacity);
    this.offset = new Int32Array(columns, capacity * 4, capacity);
    this.packets = new Int32Array(columns, capacity * 8, capacity);
  }
}

/**
 * The AEAD behind the data plane: ChaCha20-Poly1305 over whole vectors (whitepaper § 5.4.6).
 *
 * Two implementations: noble (pure TypeScript, the reference) and openssl (batched in the addon).
 * Keys live in numbered slots; slots are allocated by the caller, below `capacity`.
 */
export interface VectorAead {
  readonly name: 'noble' | 'openssl';
  readonly capacity: number;
  /** Installs both directions of a keypair. Copies the keys; the caller may wipe its own. */
  setKeys(slot: number, sealing: Uint8Array, opening: Uint8Array): void;
  /** Wipes the slot; sealing or opening with it afterwards is an assertion failure. */
  clearKeys(slot: number): void;
  /**
   * Seals in place every entry below `length` whose slot is ≥ 0: writes head, receiver and counter
   * into each message's header, encrypts, appends the tag.
   */
  sealVector(vector: OutboundVector): void;
  /**
   * Opens in place every run below `length` whose slot is ≥ 0; fills `plain` and `counter` for its
   * messages. A message that fails authentication has `plain` OPEN_FAILED and undefined contents.
   */
  openVector(vector: InboundVector): void;
}
