/**
 * A VectorAead that leaves the plaintext readable: the tag is a checksum of header, content and key.
 * For simulations that are about the protocol; forged and damaged messages still fail.
 */
import type { InboundVector, OutboundVector, VectorAead } from '../../src/vector.ts';
import { OPEN_FAILED } from '../../src/vector.ts';
import { readCounter, readU32, writeCounter, writeU32 } from '../../src/wireguard/messages.ts';

export class PlainAead implements VectorAead {
  readonly name = 'noble';
  readonly capacity: number;
  readonly sealing: (number | undefined)[];
  readonly opening: (number | undefined)[];

  constructor(capacity: number) {
    this.capacity = capacity;
    this.sealing = new Array(capacity).fill(undefined);
    this.opening = new Array(capacity).fill(undefined);
  }

  /** Slots that hold keys. */
  get used(): number {
    return this.sealing.filter((key) => key !== undefined).length;
  }

  setKeys(slot: number, sealing: Uint8Array, opening: Uint8Array): void {
    if (this.sealing[slot] !== undefined) throw new Error('slot is in use');
    this.sealing[slot] = readU32(sealing, 0) ^ readU32(sealing, 20);
    this.opening[slot] = readU32(opening, 0) ^ readU32(opening, 20);
  }

  clearKeys(slot: number): void {
    if (this.sealing[slot] === undefined) throw new Error('slot is not in use');
    this.sealing[slot] = undefined;
    this.opening[slot] = undefined;
  }

  sealVector(v: OutboundVector): void {
    for (let i = 0; i < v.length; i++) {
      if (v.slot[i]! < 0) continue;
      const key = this.sealing[v.slot[i]!];
      if (key === undefined) throw new Error('no keys in slot');
      for (let k = 0; k < v.count[i]!; k++) {
        const at = v.offset[i]! + k * v.stride[i]!;
        const size = k < v.count[i]! - 1 ? v.stride[i]! : v.lastSize[i]!;
        writeU32(v.arena, at, v.head[i]!);
        writeU32(v.arena, at + 4, v.receiver[i]!);
        writeCounter(v.arena, at + 8, v.counter[i]! + k);
        v.arena.fill(0, at + size - 16, at + size);
        writeU32(v.arena, at + size - 16, checksum(key, v.arena, at + 8, size - 24));
      }
    }
  }

  openVector(v: InboundVector): void {
    for (let i = 0; i < v.length; i++) {
      if (v.slot[i]! < 0) continue;
      const key = this.opening[v.slot[i]!];
      if (key === undefined) throw new Error('no keys in slot');
      for (let k = 0; k < v.count[i]!; k++) {
        const at = v.offset[i]! + k * v.stride[i]!;
        const size = k < v.count[i]! - 1 ? v.stride[i]! : v.lastSize[i]!;
        const fine =
          readU32(v.arena, at + size - 16) === checksum(key, v.arena, at + 8, size - 24) &&
          v.arena.subarray(at + size - 12, at + size).every((byte) => byte === 0);
        v.counter[v.first[i]! + k] = readCounter(v.arena, at + 8);
        v.plain[v.first[i]! + k] = fine ? size - 32 : OPEN_FAILED;
      }
    }
  }
}

function checksum(key: number, bytes: Uint8Array, at: number, length: number): number {
  let h = key;
  for (let i = at; i < at + length; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193) ^ (h >>> 13);
  return h >>> 0;
}
