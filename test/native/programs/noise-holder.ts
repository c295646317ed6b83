/** Has had secrets worked on by the handshake's functions, each of its own kind. */
import { loadAddon } from '../../../src/native/addon.ts';

const [KEY, INPUT] = [96, 128];
const addon = loadAddon();
const area = new Uint8Array(416);
const noise = addon.createNoise(area);

function fill(at: number, salt: number): void {
  for (let i = 0; i < 32; i++) area[at + i] = i * i * 7 + i * 31 + salt;
}

const functions = [
  () => addon.noiseHash(noise, 32),
  () => addon.noiseMac(noise, 32),
  () => addon.noiseKdf(noise, 32, 3),
  () => addon.noiseX25519(noise),
  () => addon.noiseX25519Base(noise),
  () => addon.noiseSeal(noise, 32, 0),
  // Does not authenticate.
  () => addon.noiseOpen(noise, 48, 0),
] as const;
for (const [i, work] of functions.entries()) {
  fill(KEY, 2 * i + 1);
  fill(INPUT, 2 * i + 2);
  work();
  area.fill(0);
}
process.stdout.write('done\n');
// For as long as it is looked at.
setInterval(() => {}, 60_000);
