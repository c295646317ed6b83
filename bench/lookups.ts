/** Longest-prefix-match lookups a second over 100,000 random prefixes. */
import type { Figure, Options } from './options.ts';

export async function lpm(_options: Options): Promise<Figure[]> {
  const { measureLongestPrefixMatch } = await import('./lpm.ts');
  const { v4, v6 } = await measureLongestPrefixMatch();
  return [
    { part: 'v4', ours: v4, unit: '/s', budget: { least: 10e6 }, against: 'value' },
    { part: 'v6', ours: v6, unit: '/s', budget: { least: 5e6 }, against: 'value' },
  ];
}
