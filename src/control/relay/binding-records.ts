/**
 * Bindings as bytes, to outlive a restart of the edge: 8 bytes "CWBIND" and version, then records of
 * 52 bytes: relay id (little-endian) and the endpoint record of `vector.ts`.
 */
import { ENDPOINT_RECORD_SIZE, ENDPOINT_RECORD_WORDS } from '../../vector.ts';
import { MAX_RELAY_ID } from '../model.ts';
import type { Bindings } from './bindings.ts';

const MAGIC = [0x43, 0x57, 0x42, 0x49, 0x4e, 0x44, 0, 1];
const RECORD_SIZE = 4 + ENDPOINT_RECORD_SIZE;

export interface BindingRecord {
  readonly relayId: number;
  /** One endpoint record. */
  readonly words: Int32Array;
}

export function encodeBindings(bindings: Bindings): Uint8Array {
  const slots: number[] = [];
  for (let slot = 0; slot < bindings.capacity; slot++) {
    if (bindings.isBound(slot)) slots.push(slot);
  }
  const bytes = new Uint8Array(MAGIC.length + slots.length * RECORD_SIZE);
  bytes.set(MAGIC);
  const view = new DataView(bytes.buffer);
  let at = MAGIC.length;
  for (const slot of slots) {
    view.setUint32(at, bindings.relayId[slot]!, true);
    for (let i = 0; i < ENDPOINT_RECORD_WORDS; i++) {
      const word = bindings.endpoints.words[slot * ENDPOINT_RECORD_WORDS + i]!;
      view.setInt32(at + 4 + i * 4, word, true);
    }
    at += RECORD_SIZE;
  }
  return bytes;
}

/** The records that make sense; none if the bytes are no export. */
export function decodeBindings(bytes: Uint8Array): BindingRecord[] {
  if ((bytes.length - MAGIC.length) % RECORD_SIZE !== 0) return [];
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: BindingRecord[] = [];
  for (let at = MAGIC.length; at < bytes.length; at += RECORD_SIZE) {
    const relayId = view.getUint32(at, true);
    const words = new Int32Array(ENDPOINT_RECORD_WORDS);
    for (let i = 0; i < ENDPOINT_RECORD_WORDS; i++) {
      words[i] = view.getInt32(at + 4 + i * 4, true);
    }
    const family = words[0]! & 0xffff;
    const port = words[0]! >>> 16;
    const valid = relayId > 0 && relayId <= MAX_RELAY_ID && (family === 4 || family === 6);
    if (valid && port > 0) records.push({ relayId, words });
  }
  return records;
}
