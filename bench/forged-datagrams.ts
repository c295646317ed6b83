/**
 * What the flood consists of: datagrams that look like WireGuard to a box that does not hold the
 * keys, in the file format of `udp-load replay` (length, 16 bits little-endian, then the datagram).
 */
import { randomBytes, randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { CookieGenerator } from '../src/wireguard/cookies.ts';
import { INITIATION_SIZE, TYPE_INITIATION, TYPE_TRANSPORT } from '../src/wireguard/messages.ts';
import { noblePrimitives } from '../src/wireguard/noble-primitives.ts';

const DATAGRAMS = 4096;

function write(file: string, datagrams: readonly Buffer[]): void {
  const length = (datagram: Buffer): Buffer => Buffer.from(Uint16Array.of(datagram.length).buffer);
  writeFileSync(file, Buffer.concat(datagrams.flatMap((datagram) => [length(datagram), datagram])));
}

function many(make: (i: number) => Buffer): Buffer[] {
  return Array.from({ length: DATAGRAMS }, (_, i) => make(i));
}

/** Transport data of random sessions, counters and lengths. */
export function writeForgedTransport(file: string): void {
  const datagrams = many(() => {
    const bytes = randomBytes(32 + 16 * randomInt(0, 88));
    bytes.writeUInt32LE(TYPE_TRANSPORT, 0);
    return bytes;
  });
  write(file, datagrams);
}

/** Initiations of random contents, every other one with the mac1 that anybody can compute. */
export function writeForgedInitiations(file: string, publicKey: Uint8Array): void {
  const macs = new CookieGenerator(publicKey, noblePrimitives);
  const datagrams = many((i) => {
    const bytes = randomBytes(INITIATION_SIZE);
    bytes.writeUInt32LE(TYPE_INITIATION, 0);
    if (i % 2 === 0) macs.addMacs(bytes, 0);
    return bytes;
  });
  write(file, datagrams);
}
