/** Measuring in pairs: ours and the peer in turn, the order swapped every time, medians. */
import { type Implementation, ours, stock } from '../lab/implementation.ts';
import { reach } from '../lab/ping.ts';
import { INNER, TunnelPair } from '../lab/tunnel-pair.ts';
import type { Options } from './options.ts';

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** By linear interpolation between the two nearest values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A pair with the same implementation on both sides that has shaken hands. */
export async function openPair(implementation: Implementation): Promise<TunnelPair> {
  const pair = await TunnelPair.open({ left: implementation, right: implementation });
  await reach(pair.west, INNER.right);
  return pair;
}

export interface Medians {
  readonly ours: number;
  readonly peer: number | undefined;
}

/**
 * Measures several figures on pairs of ours and of the peer. Both topologies stand all the time: an
 * idle one costs nothing, and the two then see the same machine.
 */
export async function measureInTurn<K extends string>(
  options: Options,
  measure: (pair: TunnelPair, seconds: number | undefined) => Promise<Record<K, number>>,
  format: (value: number) => string,
): Promise<Record<K, Medians>> {
  const reference = options.noPeer ? undefined : stock();
  if (!options.noPeer && !reference) throw new Error('no wireguard-go: run scripts/setup bench');
  await using mine = await openPair(ours());
  await using other = reference ? await openPair(reference) : undefined;
  const seen = { ours: [] as Record<K, number>[], peer: [] as Record<K, number>[] };
  for (let i = 0; i < options.pairs; i++) {
    const turn = [
      async () => seen.ours.push(await measure(mine, options.seconds)),
      async () => other && seen.peer.push(await measure(other, options.seconds)),
    ];
    for (const side of i % 2 === 0 ? turn : turn.reverse()) await side();
    const show = (values: Record<K, number> | undefined): string =>
      values ? Object.values<number>(values).map(format).join(', ') : '-';
    note(`  pair ${i + 1}: ours ${show(seen.ours.at(-1))}, peer ${show(seen.peer.at(-1))}`);
  }
  const result = {} as Record<K, Medians>;
  for (const key of Object.keys(seen.ours[0]!) as K[]) {
    const of = (rows: Record<K, number>[]): number => median(rows.map((row) => row[key]));
    result[key] = { ours: of(seen.ours), peer: other ? of(seen.peer) : undefined };
  }
  return result;
}
