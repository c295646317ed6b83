/** The decoder of the kernel's connection tracking with arbitrary input: returns, never throws. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConntrackDecoder, type ConntrackRecord } from '../../src/tun/conntrack-messages.ts';

/** An attribute with a length that may lie, of arbitrary content or of others. */
const { attribute } = fc.letrec<{ attribute: number[]; content: number[] }>((tie) => ({
  attribute: fc
    .tuple(fc.nat(28), tie('content'), fc.oneof(fc.constant(0), fc.integer({ min: -8, max: 8 })))
    .map(([type, content, lie]) => {
      const size = Math.max(0, content.length + 4 + lie);
      const padding = Array.from({ length: -content.length & 3 }, () => 0);
      return [size & 255, size >> 8, type, 0, ...content, ...padding];
    }),
  content: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .constantFrom(1, 2, 4, 8, 16)
      .chain((length) => fc.array(fc.nat(255), { minLength: length, maxLength: length })),
    fc.array(tie('attribute'), { maxLength: 4 }).map((parts) => parts.flat()),
  ),
}));

const message = fc
  .tuple(
    fc.constantFrom(2, 3, 0x100, 0x102, 0x180),
    fc.constantFrom(2, 10, 7),
    fc.array(attribute, { maxLength: 8 }),
    fc.integer({ min: -20, max: 20 }),
  )
  .map(([type, family, attributes, lie]) => {
    const content = attributes.flat();
    const bytes = new Uint8Array(20 + content.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, Math.max(0, bytes.length + (lie > 10 ? lie : 0)), true);
    view.setUint16(4, type, true);
    bytes[16] = family;
    bytes.set(content, 20);
    return bytes;
  });

function decode(bytes: Uint8Array, length: number): number {
  let seen = 0;
  new ConntrackDecoder().decode(bytes, length, {
    onConnection: (record: ConntrackRecord) => {
      seen++;
      expect([4, 6]).toContain(record.family);
      for (const value of [record.bytesOut, record.start, record.id, record.reply.sourcePort]) {
        expect(value).toBeGreaterThanOrEqual(0);
      }
    },
    onDone: () => seen++,
    onError: (errno) => {
      seen++;
      expect(errno).toBeGreaterThanOrEqual(0);
    },
  });
  return seen;
}

describe('conntrack messages with arbitrary input', { timeout: 60_000 }, () => {
  it('decodes bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(500), (bytes, length) => {
        expect(decode(bytes, length)).toBeLessThanOrEqual(bytes.length / 16);
      }),
      { numRuns: 10_000 },
    );
  });

  it('decodes what looks like messages, also at an offset', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), fc.nat(7), (messages, offset) => {
        const whole = Buffer.concat([new Uint8Array(offset), ...messages]);
        const bytes = new Uint8Array(
          whole.buffer,
          whole.byteOffset + offset,
          whole.length - offset,
        );
        const seen = decode(bytes, bytes.length);
        expect(seen).toBeLessThanOrEqual(messages.length * 20);
      }),
      { numRuns: 10_000 },
    );
  });
});
