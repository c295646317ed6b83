/** The dumps in rulesets/, read as the program reads those of its host. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FilterChain } from '../../../../src/gateway/doctor/filter-model.ts';
import { parseIptablesSave } from '../../../../src/gateway/doctor/iptables-save.ts';
import { parseNftRuleset } from '../../../../src/gateway/doctor/nft-ruleset.ts';

export function dumpPath(name: string): string {
  return join(import.meta.dirname, 'rulesets', name);
}

export function readDump(name: string): FilterChain[] {
  const text = readFileSync(dumpPath(name), 'utf8');
  if (name.endsWith('.nft')) return [...parseNftRuleset(JSON.parse(text)).chains];
  const family = name.endsWith('.ip6tables-save') ? 6 : 4;
  return parseIptablesSave(
    text,
    family,
    name.startsWith('legacy') ? 'iptables-legacy' : 'iptables',
  );
}
