/** The vector AEAD of the addon against noble, by both ways that it has to OpenSSL. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindInbound, bindOutbound } from '../../src/native/bindings.ts';
import { OpensslAead } from '../../src/native/openssl-aead.ts';
import { MESSAGE_HEADER_SIZE, OPEN_FAILED, SLOT_COMPLETE, SLOT_NONE } from '../../src/vector.ts';
import { NobleAead } from '../../src/wireguard/noble-aead.ts';
import { addon, inboundOf, outboundOf, type RunShape, times } from './addon-under-test.ts';

const SLOTS = 3;
const MAX_PLAINTEXT = 65_475;
const key = (slot: number): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => (i * 7 + slot * 31) & 255);

const size = fc.oneof(
  { weight: 20, arbitrary: fc.nat(300) },
  { weight: 10, arbitrary: fc.nat(1500) },
  { weight: 1, arbitrary: fc.nat(MAX_PLAINTEXT) },
  { weight: 1, arbitrary: fc.constantFrom(0, MAX_PLAINTEXT) },
);

const runShape: fc.Arbitrary<RunShape> = fc
  .record({
    count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 })),
    size,
    shorter: fc.double({ min: 0, max: 1, noNaN: true }),
    counter: fc.oneof(fc.nat(100), fc.maxSafeNat(), fc.constant(2 ** 32 - 3)),
    slot: fc.integer({ min: SLOT_COMPLETE, max: SLOTS - 1 }),
  })
  .map(({ count, size: full, shorter, counter, slot }) => ({
    count: full > 2000 ? 1 : count,
    size: full,
    lastSize: Math.round(full * shorter),
    counter: Math.min(counter, Number.MAX_SAFE_INTEGER - 20),
    slot,
  }))
  // A run of one has nothing but its last message.
  .map((shape) => (shape.count === 1 ? { ...shape, size: shape.lastSize } : shape));

const vectors = fc.record({
  runs: fc.array(runShape, { minLength: 1, maxLength: 8 }),
  // The sealer may borrow the 64 bytes before a text: there are fewer, exactly so many, or more.
  gap: fc.constantFrom(0, 1, 47, 48, 49, 100),
  seed: fc.nat(),
});

describe.each([
  ['its primitives', false],
  ['its EVP interface', true],
])('AEAD by %s', (_, evp) => {
  const make = (): [OpensslAead, NobleAead] => {
    const both = [new OpensslAead(addon, SLOTS, evp), new NobleAead(SLOTS)] as const;
    for (const aead of both) {
      for (let slot = 0; slot < SLOTS; slot++) aead.setKeys(slot, key(slot), key(slot));
    }
    return [...both];
  };
  const [openssl, noble] = make();

  it('seals as noble does, and touches nothing else', () => {
    const property = fc.property(vectors, ({ runs, gap, seed }) => {
      const ours = outboundOf(runs, gap, seed);
      const theirs = outboundOf(runs, gap, seed);
      openssl.sealVector(ours);
      noble.sealVector(theirs);
      expect(Buffer.compare(ours.arena, theirs.arena)).toBe(0);
      expect(ours.slot).toEqual(theirs.slot);
    });
    fc.assert(property, { numRuns: times(500) });
  });

  it('opens what noble opens, and refuses any forged bit', () => {
    const forged = fc.array(fc.record({ message: fc.nat(), bit: fc.nat() }), { maxLength: 4 });
    const property = fc.property(vectors, forged, ({ runs, gap, seed }, forgeries) => {
      const sent = outboundOf(runs, gap, seed);
      noble.sealVector(sent);
      const ours = inboundOf(sent);
      const broken = new Set<number>();
      for (const { message, bit } of forgeries) {
        const m = message % ours.messages;
        let run = ours.length - 1;
        while (ours.first[run]! > m) run--;
        const k = m - ours.first[run]!;
        const length = k === ours.count[run]! - 1 ? ours.lastSize[run]! : ours.stride[run]!;
        // Type and receiver index are not under the tag: only counter, text and tag are.
        const at = 8 + ((bit >> 3) % (length - 8));
        ours.arena[ours.offset[run]! + k * ours.stride[run]! + at]! ^= 1 << (bit & 7);
        broken.add(m);
      }
      const theirs = inboundOf(sent);
      theirs.arena.set(ours.arena);
      openssl.openVector(ours);
      noble.openVector(theirs);
      expect(ours.plain).toEqual(theirs.plain);
      expect(ours.counter).toEqual(theirs.counter);
      for (let run = 0; run < ours.length; run++) {
        if (ours.slot[run]! < 0) continue;
        for (let k = 0; k < ours.count[run]!; k++) {
          const plain = ours.plain[ours.first[run]! + k]!;
          if (forgeries.length === 0) expect(plain).toBeGreaterThanOrEqual(0);
          if (plain < 0) continue;
          const at = ours.offset[run]! + k * ours.stride[run]! + MESSAGE_HEADER_SIZE;
          const texts = [ours, theirs].map((v) => v.arena.subarray(at, at + plain));
          expect(Buffer.compare(texts[0]!, texts[1]!)).toBe(0);
        }
      }
      // Two forgeries may have undone each other; noble says so then too.
      if (forgeries.length === 1) {
        const [m] = broken;
        const run = ours.first.findLastIndex((first) => first <= m!);
        if (ours.slot[run]! >= 0) expect(ours.plain[m!]).toBe(OPEN_FAILED);
      }
    });
    fc.assert(property, { numRuns: times(500) });
  });

  it('opens nothing with another key, an empty slot or one that does not exist', () => {
    const aead = make()[0];
    const runs = [1, 2, 3].map((count) => ({
      count,
      size: 100,
      lastSize: 50,
      counter: 7,
      slot: 0,
    }));
    const sent = outboundOf(runs, 0, 1);
    aead.sealVector(sent);
    let received = inboundOf(sent);
    aead.clearKeys(2);
    received.slot.set([1, 2, SLOTS + 5]);
    aead.openVector(received);
    expect([...received.plain]).toEqual(new Array(6).fill(OPEN_FAILED));
    received = inboundOf(sent);
    aead.openVector(received);
    expect([...received.plain]).toEqual([50, 100, 50, 100, 100, 50]);
  });

  it('does not let a message out in the clear when its slot is empty', () => {
    const aead = make()[0];
    aead.clearKeys(1);
    const runs = [0, 1, 2].map((slot) => ({ count: 1, size: 64, lastSize: 64, counter: 0, slot }));
    const vector = outboundOf(runs, 0, 1);
    const before = vector.arena.slice(96, 192);
    expect(() => aead.sealVector(vector)).toThrow(/1 runs? name/);
    expect([...vector.slot]).toEqual([0, SLOT_NONE, 2]);
    expect(vector.arena.subarray(96, 192)).toEqual(before);
  });

  it('refuses counters that a number does not hold, runs outside the arena and hostile columns', () => {
    const keys = addon.createKeys(1, evp);
    addon.setKeys(keys, 0, key(0), key(0));
    const ordinary = { count: 2, size: 32, lastSize: 32, counter: 0, slot: 0 };
    const cases: [keyof ReturnType<typeof outboundOf>, number][] = [
      ['counter', -1],
      ['counter', Number.NaN],
      ['counter', Number.POSITIVE_INFINITY],
      ['counter', 2 ** 53 - 2],
      ['offset', -1],
      ['offset', 1],
      ['offset', 2 ** 31 - 1],
      ['stride', -1],
      ['stride', 2 ** 31 - 1],
      ['count', 0],
      ['count', -1],
      ['count', 3],
      ['count', 2 ** 31 - 1],
      ['lastSize', -1],
      ['lastSize', 31],
      ['lastSize', 65],
      ['slot', 1],
      ['slot', 2 ** 31 - 1],
    ];
    for (const [column, value] of cases) {
      const vector = outboundOf([ordinary], 0, 9);
      const arena = vector.arena.slice();
      (vector[column] as Float64Array)[0] = value;
      expect(addon.sealVector(keys, bindOutbound(addon, vector), 1)).toBe(1);
      expect(vector.slot[0]).toBe(SLOT_NONE);
      expect(vector.arena).toEqual(arena);
    }
    const limit = outboundOf([{ ...ordinary, counter: 2 ** 53 - 3 }], 0, 9);
    expect(addon.sealVector(keys, bindOutbound(addon, limit), 1)).toBe(0);
    const property = fc.property(
      fc.array(fc.integer(), { minLength: 18, maxLength: 18 }),
      (numbers) => {
        const inbound = inboundOf(outboundOf([ordinary, ordinary], 0, 9));
        const [offset, stride, count, lastSize, slot, first] = [0, 2, 4, 6, 8, 10].map((i) =>
          numbers.slice(i, i + 2),
        );
        for (const [column, values] of [
          [inbound.offset, offset],
          [inbound.stride, stride],
          [inbound.count, count],
          [inbound.lastSize, lastSize],
          [inbound.slot, slot],
          [inbound.first, first],
        ] as const) {
          for (const i of [0, 1]) if (numbers[12 + i]! & 1) column[i] = values![i]!;
        }
        inbound.slot[0] = 0;
        addon.openVector(keys, bindInbound(addon, inbound), numbers[16]! >>> 0);
      },
    );
    fc.assert(property, { numRuns: times(500) });
    addon.release(keys);
  });

  it('reads counters of 2^53 and above as infinite', () => {
    const aead = make()[0];
    const sent = outboundOf([{ count: 1, size: 0, lastSize: 0, counter: 0, slot: 0 }], 0, 1);
    for (const [high, wanted] of [
      [0x1f_ffff, 2 ** 53 - 1],
      [0x20_0000, Number.POSITIVE_INFINITY],
      [0xffff_ffff, Number.POSITIVE_INFINITY],
    ] as const) {
      const received = inboundOf(sent);
      new DataView(received.arena.buffer).setUint32(8, high === 0x1f_ffff ? 0xffff_ffff : 0, true);
      new DataView(received.arena.buffer).setUint32(12, high, true);
      const reference = inboundOf(sent);
      reference.arena.set(received.arena);
      aead.openVector(received);
      noble.openVector(reference);
      expect(received.counter[0]).toBe(wanted);
      expect(reference.counter[0]).toBe(wanted);
      expect(received.plain[0]).toBe(OPEN_FAILED);
    }
  });

  it('replaces keys, and has as many slots as it was asked for', () => {
    const aead = make()[0];
    const other = randomBytes(32);
    const reference = make()[1];
    for (const one of [aead, reference]) one.setKeys(0, other, other);
    const shape = [{ count: 1, size: 9, lastSize: 9, counter: 1, slot: 0 }];
    const [ours, theirs] = [outboundOf(shape, 0, 3), outboundOf(shape, 0, 3)];
    aead.sealVector(ours);
    reference.sealVector(theirs);
    expect(ours.arena).toEqual(theirs.arena);
    expect(() => aead.setKeys(SLOTS, other, other)).toThrow();
    aead.clearKeys(SLOTS);
    aead.clearKeys(2 ** 32 - 1);
  });
});
