/** Entries of one message each at the end of an outbound vector: what the protocol itself sends. */
import { MESSAGE_OVERHEAD, type OutboundVector } from '../vector.ts';
import type { DeviceState } from './device-state.ts';
import type { Keypair } from './keypair.ts';
import { PADDING, TYPE_TRANSPORT } from './messages.ts';

/**
 * Length of a packet with its padding: a multiple of 16, but not beyond the MTU. A packet longer than
 * the MTU is padded as if only its part behind the last whole MTU were sent.
 */
export function paddedLength(length: number, mtu: number): number {
  if (mtu === 0) return Math.ceil(length / PADDING) * PADDING;
  const last = length > mtu ? length % mtu : length;
  const padded = Math.min(Math.ceil(last / PADDING) * PADDING, mtu);
  return length - last + padded;
}

/** Whether `count` messages of up to `size` bytes each have room. */
export function fits(v: OutboundVector, size: number, count = 1): boolean {
  const each = (size + 15) & ~15;
  return v.length + count <= v.capacity && alignedEnd(v) + count * each <= v.arena.length;
}

/** A new entry of one message of `size` bytes, which must have room. */
export function reserve(v: OutboundVector, size: number): number {
  const at = v.length++;
  const offset = alignedEnd(v);
  v.offset[at] = offset;
  v.stride[at] = size;
  v.count[at] = 1;
  v.lastSize[at] = size;
  v.used = offset + size;
  return at;
}

/** A new entry for a packet of `length` bytes, to be written behind the header; the padding is there. */
export function reservePacket(v: OutboundVector, length: number, mtu: number): number {
  const padded = paddedLength(length, mtu);
  const at = reserve(v, padded + MESSAGE_OVERHEAD);
  const end = v.offset[at]! + v.lastSize[at]!;
  v.arena.fill(0, end - MESSAGE_OVERHEAD / 2 - (padded - length), end);
  return at;
}

/** Has entry `at`, one message of plaintext, sealed with a keypair and sent to record `record`. */
export function address(
  state: DeviceState,
  v: OutboundVector,
  at: number,
  keypair: Keypair,
  record: number,
): void {
  const { number } = keypair.peer;
  v.head[at] = TYPE_TRANSPORT | (state.relayIdOf(record) << 8);
  v.receiver[at] = keypair.remoteIndex;
  v.slot[at] = keypair.slot;
  v.endpoint[at] = record;
  v.counter[at] = keypair.counter++;
  const { txBytes } = state.statistics;
  txBytes[number] = txBytes[number]! + v.lastSize[at]!;
}

/** Messages begin at multiples of 16: the ciphers like it. */
function alignedEnd(v: OutboundVector): number {
  return (v.used + 15) & ~15;
}
