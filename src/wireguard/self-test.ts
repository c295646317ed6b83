/**
 * Holds an implementation of the vector AEAD and of the handshake's functions against the answers of noble,
 * the reference, on inputs that are always the same.
 */
import { bytesToHex, equalBytes } from '../bytes.ts';
import { type Primitives, TAG_SIZE } from '../primitives.ts';
import {
  InboundVector,
  MESSAGE_OVERHEAD,
  OPEN_FAILED,
  OutboundVector,
  type VectorAead,
} from '../vector.ts';
import { TAGS } from './known-answers.ts';
import { primitivesDisagreement } from './primitives-check.ts';

/** Sizes of plaintext around every boundary of the block functions, and the usual packets. */
const SIZES = [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 257, 512, 1024, 1280, 1420, 9000];

/** Type, receiver and, in little-endian order, the counters from 2^40 on (whitepaper § 5.4.6). */
const HEADER = '0400000004030201';
const HEADER_SIZE = 16;

/** Undefined if the candidate does what noble does; else in what it differs. */
export function selfTest(
  makeAead: (slots: number) => VectorAead,
  makePrimitives: () => Primitives,
): string | undefined {
  try {
    return testAead(makeAead(1)) ?? primitivesDisagreement(makePrimitives());
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function testAead(candidate: VectorAead): string | undefined {
  const key = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1);
  candidate.setKeys(0, key, key);
  const sealed = testVector();
  candidate.sealVector(sealed);
  for (let i = 0; i < sealed.length; i++) {
    const [from, end] = [sealed.offset[i]!, sealed.offset[i]! + sealed.lastSize[i]!];
    const header = `${HEADER}${bytesToHex(Uint8Array.of(i))}00000000010000`;
    const differs =
      bytesToHex(sealed.arena.subarray(from, from + HEADER_SIZE)) !== header ||
      bytesToHex(sealed.arena.subarray(end - TAG_SIZE, end)) !== TAGS[i];
    if (differs) return 'it seals differently';
  }
  const received = receivedFrom(sealed);
  // The last message is forged in its last byte.
  const broken = received.length - 1;
  const end = received.offset[broken]! + received.lastSize[broken]! - 1;
  received.arena[end] = received.arena[end]! ^ 1;
  candidate.openVector(received);
  const plain = testVector();
  for (let i = 0; i < received.length; i++) {
    const expected = i === broken ? OPEN_FAILED : SIZES[i]!;
    if (received.plain[i] !== expected) return `it opens ${SIZES[i]} bytes as ${received.plain[i]}`;
    const from = received.offset[i]! + 16;
    const to = from + Math.max(expected, 0);
    const equal = equalBytes(received.arena.subarray(from, to), plain.arena.subarray(from, to));
    if (!equal) return `it opens ${SIZES[i]} bytes wrongly`;
  }
  candidate.clearKeys(0);
  return undefined;
}

function testVector(): OutboundVector {
  const size = SIZES.reduce((sum, plain) => sum + plain + MESSAGE_OVERHEAD, 0);
  const vector = new OutboundVector(SIZES.length, size);
  for (let i = 0; i < size; i++) vector.arena[i] = (i * 167) & 0xff;
  for (const plain of SIZES) {
    const i = vector.length++;
    vector.offset[i] = vector.used;
    vector.stride[i] = plain + MESSAGE_OVERHEAD;
    vector.lastSize[i] = plain + MESSAGE_OVERHEAD;
    vector.count[i] = 1;
    vector.head[i] = 4;
    vector.receiver[i] = 0x01020304;
    vector.counter[i] = 2 ** 40 + i;
    vector.slot[i] = 0;
    vector.used += plain + MESSAGE_OVERHEAD;
  }
  return vector;
}

function receivedFrom(sent: OutboundVector): InboundVector {
  const vector = new InboundVector(sent.length, sent.length, sent.arena.length, 1);
  vector.arena.set(sent.arena);
  vector.length = vector.messages = sent.length;
  for (let i = 0; i < sent.length; i++) {
    vector.offset[i] = sent.offset[i]!;
    vector.stride[i] = sent.stride[i]!;
    vector.lastSize[i] = sent.lastSize[i]!;
    vector.count[i] = 1;
    vector.slot[i] = 0;
    vector.first[i] = i;
  }
  return vector;
}
