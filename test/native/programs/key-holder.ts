/** Holds three keypairs in the addon until it is told to let go of them. */
import { once } from 'node:events';
import { loadAddon } from '../../../src/native/addon.ts';

const addon = loadAddon();
const evp = process.argv[2] === 'evp';
// V8 keeps a typed array that is this small among its objects, and moves its bytes away, leaving a
// copy behind, when native code first asks for them. One over an ArrayBuffer never moves.
const buffer = [new Uint8Array(new ArrayBuffer(32)), new Uint8Array(new ArrayBuffer(32))] as const;

function set(keys: ReturnType<typeof addon.createKeys>, slot: number, ...salts: number[]): void {
  for (const which of [0, 1] as const) {
    for (let i = 0; i < 32; i++) buffer[which][i] = i * i * 7 + i * 31 + salts[which]!;
  }
  addon.setKeys(keys, slot, buffer[0], buffer[1]);
  for (const half of buffer) half.fill(0);
}

const keys = addon.createKeys(2, evp);
const others = addon.createKeys(1, evp);
set(keys, 0, 1, 2);
set(keys, 1, 3, 4);
set(others, 0, 5, 6);
process.stdout.write('set\n');
await once(process.stdin, 'data');
addon.clearKeys(keys, 0);
set(keys, 1, 100, 101);
addon.release(others);
process.stdout.write('gone\n');
