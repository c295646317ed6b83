/** Handshake initiations answered a second, by both implementations of the cryptography. */
import { join } from 'node:path';
import { ours } from '../lab/implementation.ts';
import { generateKeyPair } from '../lab/keys.ts';
import { OUTER, PORT, type TunnelPair } from '../lab/tunnel-pair.ts';
import { median, note, openPair } from './measure.ts';
import type { Figure, Options } from './options.ts';
import type { Settings } from './programs/handshake-load.ts';

const PROGRAM = join(import.meta.dirname, 'programs/handshake-load.ts');
const INITIATORS = 2000;
const WINDOW = 8;

async function answered(pair: TunnelPair, seconds: number, rounds: number): Promise<number> {
  const initiators = Array.from({ length: INITIATORS }, generateKeyPair);
  await pair.right.configure(
    PORT,
    ...initiators.map(({ publicKey }) => ({ publicKey, allowedIps: [] })),
  );
  const settings: Settings = {
    address: OUTER.right,
    port: PORT,
    responder: pair.right.keys.publicKey,
    initiators,
    rounds,
    window: WINDOW,
    seconds,
  };
  const file = pair.west.file('handshakes.json', JSON.stringify(settings));
  const text = await pair.west.run([process.execPath, PROGRAM, file], { seconds: 60 });
  const result = JSON.parse(text) as { answered: number; lost: number; seconds: number };
  const rate = result.answered / result.seconds;
  note(`  ${rate.toFixed(0)} a second, ${result.lost} of ${result.answered + result.lost} lost`);
  return rate;
}

async function measure(crypto: string, least: number, rounds: number, options: Options) {
  await using pair = await openPair(ours('--crypto', crypto));
  const rates: number[] = [];
  for (let i = 0; i < Math.min(3, options.pairs); i++) {
    rates.push(await answered(pair, options.seconds ?? 3, rounds));
  }
  const budget = { least };
  return { part: crypto, ours: median(rates), unit: '/s', budget, against: 'value' as const };
}

export async function handshakes(options: Options): Promise<Figure[]> {
  return [await measure('openssl', 1500, 8, options), await measure('noble', 150, 1, options)];
}
