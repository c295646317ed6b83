/** The policy's nftables table: put in place, read, taken away. `nft` does each in one transaction. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FAMILIES, type Family } from '../../control/policy/address-set.ts';
import { numberOf, objectsOf, runCommand, stringOf, tryCommand } from '../../tun/command.ts';
import { removeTable } from '../../tun/nftables.ts';
import { runtimeDirectory } from '../runtime-directory.ts';
import { COUNTERS, type CounterName, notedSets, policyTableName } from './policy-ruleset.ts';

export type PolicyCounters = Readonly<Record<CounterName, number>>;
export const NO_COUNTS: PolicyCounters = {
  ...{ denied: 0, invalid: 0, untracked: 0, logged: 0, diagnosis: 0 },
};

/** A flow that was denied, or met a `log` rule, in the last minute. */
export interface NotedFlow {
  readonly family: Family;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** Port of the destination, or the ICMP type; undefined for protocols that have neither. */
  readonly port: number | undefined;
  readonly packets: number;
}

/** Replaces what was there; `text` is `encodeRuleset`'s. @throws CausewayError COMMAND_MISSING, COMMAND_FAILED, PERMISSION */
export async function installPolicy(interfaceName: string, text: string): Promise<void> {
  const path = join(runtimeDirectory(), `${interfaceName}.policy.nft`);
  await mkdir(runtimeDirectory(), { recursive: true, mode: 0o700 });
  await writeFile(path, text, { mode: 0o600 });
  try {
    await runCommand('nft', ['-f', path]);
  } finally {
    await rm(path, { force: true });
  }
}

/** @throws CausewayError COMMAND_FAILED when it is still there */
export function removePolicy(interfaceName: string): Promise<void> {
  return removeTable(policyTableName(interfaceName));
}

/** Packets since the table was put in place; undefined if it is not there. */
export async function readCounters(interfaceName: string): Promise<PolicyCounters | undefined> {
  const found = await list('counter', [
    'counters',
    'table',
    'inet',
    policyTableName(interfaceName),
  ]);
  if (found === undefined) return undefined;
  const counts: Record<CounterName, number> = { ...NO_COUNTS };
  for (const counter of found) {
    const name = COUNTERS.find((one) => one === stringOf(counter, 'name'));
    if (name !== undefined) counts[name] = numberOf(counter, 'packets') ?? 0;
  }
  return counts;
}

export async function readNotedFlows(interfaceName: string): Promise<NotedFlow[]> {
  const flows: NotedFlow[] = [];
  for (const family of FAMILIES) {
    for (const name of notedSets(family)) {
      const found = await list('set', ['set', 'inet', policyTableName(interfaceName), name]);
      for (const { elem } of (found ?? []).flatMap((set) => objectsOf(set.elem))) {
        const flow = parseFlow(family, elem);
        if (flow !== undefined) flows.push(flow);
      }
    }
  }
  return flows;
}

/** The objects of a kind that `nft list` shows; undefined if it fails. */
async function list(kind: string, what: readonly string[]) {
  const { code, stdout } = await tryCommand('nft', ['-j', '-n', 'list', ...what]);
  if (code !== 0) return undefined;
  const { nftables } = JSON.parse(stdout) as { nftables?: unknown };
  return objectsOf(nftables).flatMap((object) => objectsOf([object[kind]]));
}

/** Of `{"val": {"concat": [source, destination, protocol, port]}, "counter": {"packets": n}}`. */
function parseFlow(family: Family, element: unknown): NotedFlow | undefined {
  const [elem] = objectsOf([element]);
  const [val] = objectsOf([elem?.val]);
  const [counter] = objectsOf([elem?.counter]);
  if (!Array.isArray(val?.concat)) return undefined;
  const [source, destination, protocol, port] = val.concat as unknown[];
  if (typeof source !== 'string' || typeof destination !== 'string') return undefined;
  if (typeof protocol !== 'number') return undefined;
  const isIcmp = protocol === 1 || protocol === 58;
  return {
    family,
    source,
    destination,
    protocol,
    port: typeof port !== 'number' ? undefined : isIcmp ? port >>> 8 : port,
    packets: numberOf(counter, 'packets') ?? 0,
  };
}
