import { createCipheriv, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  InboundVector,
  MESSAGE_OVERHEAD,
  OPEN_FAILED,
  OutboundVector,
  SLOT_COMPLETE,
  SLOT_NONE,
} from '../../../src/vector.ts';
import { NobleAead } from '../../../src/wireguard/noble-aead.ts';

/** One transport message as OpenSSL seals it. */
function sealed(
  key: Uint8Array,
  head: number,
  receiver: number,
  counter: bigint,
  text: Uint8Array,
) {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(head, 0);
  header.writeUInt32LE(receiver, 4);
  header.writeBigUInt64LE(counter, 8);
  const nonce = Buffer.concat([Buffer.alloc(4), header.subarray(8)]);
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  return Buffer.concat([header, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

interface Run {
  readonly count: number;
  readonly size: number;
  readonly lastSize: number;
  readonly counter: number;
  readonly slot: number;
}

const run: fc.Arbitrary<Run> = fc
  .record({
    count: fc.integer({ min: 1, max: 5 }),
    size: fc.integer({ min: 0, max: 300 }),
    shorter: fc.integer({ min: 0, max: 300 }),
    counter: fc.oneof(
      fc.integer({ min: 0, max: 1_000 }),
      fc.constantFrom(2 ** 32 - 2, 2 ** 33, 2 ** 52),
    ),
    slot: fc.integer({ min: 0, max: 2 }),
  })
  .map(({ shorter, ...rest }) => ({ ...rest, lastSize: Math.max(0, rest.size - shorter) }));

describe('NobleAead', () => {
  it('seals runs of any shape as OpenSSL does, and opens them again', () => {
    fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 4 }), (runs) => {
        const keys = Array.from({ length: 6 }, () => Uint8Array.from(randomBytes(32)));
        const sender = new NobleAead(3);
        const receiver = new NobleAead(3);
        for (let slot = 0; slot < 3; slot++) {
          sender.setKeys(slot, keys[slot]!, keys[slot + 3]!);
          receiver.setKeys(slot, keys[slot + 3]!, keys[slot]!);
        }
        const out = new OutboundVector(8, 16_384);
        const inbound = new InboundVector(8, 64, 16_384, 1);
        const texts: Uint8Array[] = [];
        const expected: Buffer[] = [];
        let offset = 3;
        runs.forEach(({ count, size, lastSize, counter, slot }, i) => {
          const last = count === 1 ? size : lastSize;
          out.offset[i] = offset;
          out.stride[i] = size + MESSAGE_OVERHEAD;
          out.count[i] = count;
          out.lastSize[i] = last + MESSAGE_OVERHEAD;
          out.head[i] = 4 | ((i * 0x123456) << 8);
          out.receiver[i] = 0xffff_fff0 + i;
          out.counter[i] = counter;
          out.slot[i] = slot;
          inbound.slot[i] = slot;
          inbound.first[i] = texts.length;
          for (let k = 0; k < count; k++) {
            const text = Uint8Array.from(randomBytes(k < count - 1 ? size : last));
            texts.push(text);
            out.arena.set(text, offset + 16);
            expected.push(
              sealed(
                keys[slot]!,
                out.head[i]!,
                out.receiver[i]!,
                BigInt(counter) + BigInt(k),
                text,
              ),
            );
            offset += text.length + MESSAGE_OVERHEAD;
          }
          offset += 5;
        });
        out.length = runs.length;
        sender.sealVector(out);
        let message = 0;
        for (let i = 0; i < runs.length; i++) {
          for (let k = 0; k < out.count[i]!; k++) {
            const at = out.offset[i]! + k * out.stride[i]!;
            const wanted = expected[message++]!;
            const got = Buffer.from(out.arena.subarray(at, at + wanted.length));
            expect(got.toString('hex')).toBe(wanted.toString('hex'));
          }
          for (const column of ['offset', 'stride', 'count', 'lastSize'] as const) {
            inbound[column][i] = out[column][i]!;
          }
        }
        inbound.arena.set(out.arena);
        inbound.length = runs.length;
        inbound.messages = texts.length;
        receiver.openVector(inbound);
        message = 0;
        runs.forEach(({ counter }, i) => {
          for (let k = 0; k < out.count[i]!; k++) {
            const text = texts[message]!;
            const at = inbound.offset[i]! + k * inbound.stride[i]! + 16;
            expect(inbound.plain[message]).toBe(text.length);
            expect(inbound.counter[message]).toBe(counter + k);
            expect(inbound.arena.slice(at, at + text.length)).toEqual(text);
            message++;
          }
        });
      }),
      { numRuns: 150 },
    );
  });

  it('fails on any changed bit of header counter, content and tag, and leaves the others alone', () => {
    const key = Uint8Array.from(randomBytes(32));
    const aead = new NobleAead(1);
    aead.setKeys(0, key, key);
    const text = Uint8Array.from(randomBytes(40));
    const message = sealed(key, 4, 1, 7n, text);
    const v = new InboundVector(1, 2, 1_024, 1);
    for (let bit = 8 * 8; bit < message.length * 8; bit++) {
      v.length = 1;
      v.offset[0] = 0;
      v.stride[0] = message.length;
      v.count[0] = 2;
      v.lastSize[0] = message.length;
      v.slot[0] = 0;
      v.first[0] = 0;
      v.arena.set(message, 0);
      v.arena.set(message, message.length);
      v.arena[bit >> 3]! ^= 1 << (bit & 7);
      aead.openVector(v);
      expect([...v.plain]).toEqual([OPEN_FAILED, 40]);
    }
  });

  it('reads counters beyond 2^53 as Infinity', () => {
    const key = Uint8Array.from(randomBytes(32));
    const aead = new NobleAead(1);
    aead.setKeys(0, key, key);
    const v = new InboundVector(1, 1, 64, 1);
    for (const [counter, read] of [
      [2n ** 53n - 1n, 2 ** 53 - 1],
      [2n ** 53n, Number.POSITIVE_INFINITY],
      [2n ** 64n - 1n, Number.POSITIVE_INFINITY],
    ] as const) {
      v.arena.set(sealed(key, 4, 1, counter, new Uint8Array(16)));
      v.length = 1;
      v.count[0] = 1;
      v.stride[0] = 48;
      v.lastSize[0] = 48;
      aead.openVector(v);
      expect([v.plain[0], v.counter[0]]).toEqual([16, read]);
    }
  });

  it('leaves entries without keys alone, and refuses slots that hold none', () => {
    const aead = new NobleAead(2);
    const v = new OutboundVector(3, 256);
    v.length = 2;
    v.slot.set([SLOT_NONE, SLOT_COMPLETE]);
    v.count.fill(1);
    v.lastSize.fill(64);
    aead.sealVector(v);
    expect(v.arena.every((byte) => byte === 0)).toBe(true);
    v.slot[0] = 1;
    expect(() => aead.sealVector(v)).toThrow('slot 1');
    aead.setKeys(1, new Uint8Array(32), new Uint8Array(32));
    aead.sealVector(v);
    aead.clearKeys(1);
    expect(() => aead.sealVector(v)).toThrow('slot 1');
    expect(() => aead.setKeys(2, new Uint8Array(32), new Uint8Array(32))).toThrow(RangeError);
  });
});
