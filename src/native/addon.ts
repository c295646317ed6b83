/**
 * The native addon (`native/addon.cc`): its functions, their shapes, and its loader. Nothing above
 * `native`, `tun` and `udp` calls it directly.
 *
 * Descriptors are plain numbers and their opener's to close. Functions that run per visit answer in
 * `results`, one array per thread, instead of making objects. Errors are positive errno values,
 * 0 = none.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CausewayError } from '../errors.ts';

declare const handle: unique symbol;
/** Numbers that the addon gave; they mean nothing in another thread. */
export type OutboundHandle = number & { readonly [handle]: 'outbound' };
export type InboundHandle = number & { readonly [handle]: 'inbound' };
export type EndpointsHandle = number & { readonly [handle]: 'endpoints' };
export type KeysHandle = number & { readonly [handle]: 'keys' };
export type NoiseHandle = number & { readonly [handle]: 'noise' };
export type PollHandle = { readonly [handle]: 'poll' };

/** Event mask of a poll. */
export const READABLE = 1;
export const WRITABLE = 2;

export interface OpenedTun {
  readonly fd: number;
  readonly error: number;
  readonly name: string;
  /** TSO4, TSO6 and checksum offload. */
  readonly tcpOffload: boolean;
  /** USO4 and USO6. */
  readonly udpOffload: boolean;
}

export interface OpenedUdp {
  readonly fd: number;
  readonly error: number;
  readonly port: number;
  readonly gso: boolean;
  readonly gro: boolean;
  /** Bytes, as many as the system permits. */
  readonly receiveBuffer: number;
}

/**
 * Of the functions below and their arguments. An addon that was built for other ones would take some
 * arguments for others, or pass them over, and nobody would be told.
 */
export const INTERFACE_VERSION = 1;

export interface Addon {
  readonly interfaceVersion: number;
  /** What the last per-visit call answered; see each of them. */
  readonly results: Int32Array;
  bindResults(results: Int32Array): void;
  /** Frees what a handle names. */
  release(
    handle: OutboundHandle | InboundHandle | EndpointsHandle | KeysHandle | NoiseHandle,
  ): void;
  /** The memory must not be detached or transferred while the handle lives. */
  bindOutbound(arena: Uint8Array, columns: Uint8Array, capacity: number): OutboundHandle;
  /** `groups` holds as many groups as the vector holds messages. */
  bindInbound(
    arena: Uint8Array,
    columns: Uint8Array,
    sources: Uint8Array,
    groups: Uint8Array,
    runs: number,
    messages: number,
  ): InboundHandle;
  bindEndpoints(records: Uint8Array): EndpointsHandle;

  /** An MTU of 0 leaves the kernel's. */
  openTun(
    name: string,
    exclusive: boolean,
    multiQueue: boolean,
    offload: boolean,
    mtu: number,
  ): OpenedTun;
  /** What the device is called now, in whatever namespace; empty if it is gone. */
  tunName(fd: number): string;
  /** Results: error (EAGAIN = drained), length, used, malformed, options, unknown offload. */
  tunRead(
    fd: number,
    vector: OutboundHandle,
    length: number,
    used: number,
    mtu: number,
    maxBytes: number,
  ): void;
  /** Results: groups, malformed, options, path frames. */
  coalesce(vector: InboundHandle, length: number, tcp: boolean, udp: boolean): void;
  /** Returns how many packets the device refused. */
  tunWrite(fd: number, vector: InboundHandle, groups: number): number;

  openUdp(
    family: 4 | 6,
    port: number,
    mark: number,
    bufferBytes: number,
    offload: boolean,
  ): OpenedUdp;
  setMark(fd: number, mark: number): number;
  /** Returns an errno, 0 = done. */
  setDontFragment(fd: number, on: boolean): number;
  socketDrops(fd: number): number;
  /** Results: error (EAGAIN = drained), runs, messages, datagrams dropped for want of room. */
  udpReceive(fd: number, vector: InboundHandle, maxBuffers: number): void;
  /** Results: family of the socket that blocks or 0, refused, too long, unreachable. */
  udpSend(
    fd4: number,
    fd6: number,
    gso4: boolean,
    gso6: boolean,
    vector: OutboundHandle,
    length: number,
    endpoints: EndpointsHandle,
    resume: boolean,
  ): void;
  forgetPaths(endpoints: EndpointsHandle): void;

  /** With `evp`, by OpenSSL's public interface even where its faster primitives are there. */
  createKeys(capacity: number, evp?: boolean): KeysHandle;
  setKeys(keys: KeysHandle, slot: number, sealing: Uint8Array, opening: Uint8Array): boolean;
  clearKeys(keys: KeysHandle, slot: number): void;
  /** Returns how many entries were refused; their slot is -1 then. */
  sealVector(keys: KeysHandle, vector: OutboundHandle, length: number): number;
  openVector(keys: KeysHandle, vector: InboundHandle, length: number): void;

  /**
   * The handshake's functions over 416 bytes: output (96), key or scalar (32), input or point (288).
   * All answer whether OpenSSL did it and wipe key and input; see OpensslPrimitives.
   */
  createNoise(area: Uint8Array): NoiseHandle;
  noiseHash(noise: NoiseHandle, inputSize: number): boolean;
  noiseMac(noise: NoiseHandle, inputSize: number): boolean;
  noiseKdf(noise: NoiseHandle, inputSize: number, outputs: number): boolean;
  /** False if the result is all zero. */
  noiseX25519(noise: NoiseHandle): boolean;
  noiseX25519Base(noise: NoiseHandle): boolean;
  noiseSeal(noise: NoiseHandle, text: number, authenticated: number): boolean;
  noiseOpen(noise: NoiseHandle, sealed: number, authenticated: number): boolean;

  close(fd: number): void;
  /** Gives freed memory back to the system. */
  trimMemory(): void;
  /** Fills it from the kernel, for keys too; a microsecond for a few hundred bytes. */
  random(into: Uint8Array): void;
  /**
   * The kernel's cookie of the network namespace that we are in: no other has the same until the next
   * boot, unlike its inode. 0n where the kernel gives none (before Linux 5.14).
   */
  networkNamespace(): bigint;
  /**
   * Subscribed to groups (a bit each) of a NETLINK_* protocol, in the namespace of the TUN (or -1:
   * ours), with room in the kernel for so many bytes; fd or -errno.
   */
  openNetlink(groups: number, tun: number, protocol: number, buffer: number): number;
  /**
   * Keeps notices of route netlink from a socket: what the socket with this port caused, and routes of
   * this RTPROT_*; 0 = none. 0 or -errno.
   */
  filterNetlink(fd: number, port: number, protocol: number): number;
  /** Bytes or -errno; never blocks. */
  receive(fd: number, into: Uint8Array): number;
  send(fd: number, from: Uint8Array): number;
  /** To a path, or to an abstract name behind a zero byte; 0 or -errno; never blocks. */
  sendUnixDatagram(address: Uint8Array, message: Uint8Array): number;
  /**
   * The callback gets a mask of READABLE | WRITABLE, or a negative errno. What the descriptor stands
   * for stays open until the poll is closed too.
   */
  createPoll(fd: number, callback: (events: number) => void): PollHandle;
  setPoll(poll: PollHandle, events: number): void;
  closePoll(poll: PollHandle): void;
}

/** The package's root: where `package.json` is, seen from `src/native` and `dist/native` alike. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const RESULTS = 8;

let loaded: Addon | undefined;

/**
 * Loads the addon: the checkout's own build, or the prebuilt binary of the published package.
 *
 * @throws CausewayError ADDON_MISSING
 */
export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded;
  const require = createRequire(import.meta.url);
  const named = process.env.CAUSEWAY_ADDON;
  let addon: Addon;
  try {
    if (named !== undefined && named !== '' && existsSync(named)) {
      addon = require(named) as Addon;
    } else {
      addon = (require('node-gyp-build') as (directory: string) => Addon)(root);
    }
  } catch (cause) {
    throw new CausewayError(
      'ADDON_MISSING',
      'The native addon is not built for this machine: run `npm rebuild causeway`, or `npm run build` in a checkout (needs a C++ compiler, make and python3).',
      { cause },
    );
  }
  if (addon.interfaceVersion !== INTERFACE_VERSION) {
    throw new CausewayError(
      'ADDON_MISSING',
      'The native addon was built for another version of this program: run `npm rebuild causeway`, or `npm run build` in a checkout.',
    );
  }
  const results = new Int32Array(RESULTS);
  addon.bindResults(results);
  loaded = Object.assign(addon, { results });
  return loaded;
}
