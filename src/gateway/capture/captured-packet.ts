/** A record of the capture ring (capture-ring.ts), read. */
import { DROP_REASON_NAMES, type DropReason } from '../../drops.ts';
import {
  DIRECTION_IN,
  DIRECTION_MASK,
  PATH_KNOWN,
  RECORD_HEADER,
  VERDICT_ACCEPTED,
  VERDICT_DROPPED,
} from './capture-ring.ts';

export interface CapturedPacket {
  readonly direction: 'in' | 'out';
  /** Number of the peer; -1 = none. */
  readonly peer: number;
  /** `waiting`: for a session with the peer. */
  readonly verdict: 'accepted' | 'waiting' | DropReason;
  /** Undefined = not known. */
  readonly path: 'direct' | 'relayed' | undefined;
  /** Milliseconds since 1970, with a fraction. */
  readonly time: number;
  /** Bytes of the packet, of which `bytes` has the first. */
  readonly length: number;
  readonly bytes: Uint8Array;
  /** Packets lost between the one before and this. */
  readonly lostBefore: number;
}

/** The packets in whole records. Their bytes are borrowed from `records`. */
export function* packetsIn(records: Uint8Array): Generator<CapturedPacket> {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  for (let at = 0; at + RECORD_HEADER <= records.length; ) {
    const size = view.getInt32(at, true);
    const captured = view.getInt32(at + 8, true);
    if (size < RECORD_HEADER + captured || at + size > records.length) return;
    const verdict = view.getInt32(at + 16, true);
    const flags = view.getInt32(at + 20, true);
    const relayed = view.getInt32(at + 24, true) !== 0;
    yield {
      direction: (flags & DIRECTION_MASK) === DIRECTION_IN ? 'in' : 'out',
      peer: view.getInt32(at + 12, true),
      verdict:
        verdict === VERDICT_ACCEPTED
          ? 'accepted'
          : (DROP_REASON_NAMES[verdict - VERDICT_DROPPED] ?? 'waiting'),
      path: (flags & PATH_KNOWN) === 0 ? undefined : relayed ? 'relayed' : 'direct',
      time: view.getFloat64(at + 32, true),
      length: view.getInt32(at + 4, true),
      bytes: records.subarray(at + RECORD_HEADER, at + RECORD_HEADER + captured),
      lostBefore: view.getInt32(at + 28, true),
    };
    at += size;
  }
}
