/** TCP throughput: one stream, four streams both ways, and one stream with the noble AEAD. */
import { ours } from '../lab/implementation.ts';
import { measureThroughput } from './iperf.ts';
import { measureInTurn, median, note, openPair } from './measure.ts';
import type { Figure, Options } from './options.ts';

const SECONDS = 5;
const UNIT = 'Mbit/s';

async function inTurn(options: Options, least: number, iperf: string[]): Promise<Figure[]> {
  const { rate } = await measureInTurn(
    options,
    async (pair, seconds = SECONDS) => ({ rate: await measureThroughput(pair, seconds, iperf) }),
    (value) => value.toFixed(0),
  );
  return [{ part: '', ...rate, unit: UNIT, budget: { least }, against: 'ratio' }];
}

export function throughput(options: Options): Promise<Figure[]> {
  return inTurn(options, 2.0, []);
}

/** Four streams in each direction at once; the sum of both. */
export function throughput4(options: Options): Promise<Figure[]> {
  return inTurn(options, 1.5, ['-P', '4', '--bidir']);
}

export async function noble(options: Options): Promise<Figure[]> {
  await using pair = await openPair(ours('--crypto', 'noble'));
  const rates: number[] = [];
  for (let i = 0; i < options.pairs; i++) {
    rates.push(await measureThroughput(pair, options.seconds ?? SECONDS));
    note(`  run ${i + 1}: ${rates[i]!.toFixed(0)}`);
  }
  return [{ part: '', ours: median(rates), unit: UNIT, budget: { least: 250 }, against: 'value' }];
}
