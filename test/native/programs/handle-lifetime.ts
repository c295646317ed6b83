/** Makes vectors until numbers are given again; then uses one whose JavaScript views are gone. */
import { setImmediate } from 'node:timers/promises';
import { loadAddon } from '../../../src/native/addon.ts';
import { bindInbound, bindOutbound } from '../../../src/native/bindings.ts';
import { OpensslAead } from '../../../src/native/openssl-aead.ts';
import { InboundVector, OutboundVector } from '../../../src/vector.ts';

const addon = loadAddon();
const collect = (globalThis as { gc?: () => void }).gc!;

let highest = 0;
function bindMany(): void {
  for (let i = 0; i < 50; i++) {
    highest = Math.max(
      highest,
      bindOutbound(addon, new OutboundVector(4, 1000)) as unknown as number,
      bindInbound(addon, new InboundVector(4, 4, 1000, 1)) as unknown as number,
    );
    new OpensslAead(addon, 2).setKeys(1, new Uint8Array(32), new Uint8Array(32));
  }
}

for (let round = 0; round < 20; round++) {
  bindMany();
  collect();
  await setImmediate();
  collect();
  await setImmediate();
}
process.stdout.write(highest < 2000 ? 'released\n' : `not released: ${highest}\n`);

const kept = addon.bindOutbound(new Uint8Array(1 << 20).fill(7), new Uint8Array(40 * 8), 8);
for (let i = 0; i < 10; i++) {
  collect();
  await setImmediate();
}
const keys = addon.createKeys(1);
if (addon.sealVector(keys, kept, 8) !== 8) throw new Error('eight runs of nothing were sealed');
process.stdout.write('kept\n');
