/**
 * What a tunnel added to the system, written down before it is added: IFNAME.json in the
 * runtime directory.
 * An orderly end removes the file with the rest; after a kill -9 the next start, or `down`, finds it
 * and takes everything away. Notes are believed only in the network namespace that they speak of:
 * its inode, which the directory is named by, is given to another when it is gone, and that one's
 * settings and routes are not ours to take away.
 *
 * Tunnels read each other's notes: a table that one has noted is taken, and a kernel setting that
 * several need is set back by the last of them, to what it was before the first. What switches
 * forwarding is not set back when somebody else has come to rely on it (other-forwarders.ts).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { loadAddon } from '../native/addon.ts';
import type { Family } from '../routing/address.ts';
import type { RoutingTable } from '../routing/routing-rules.ts';
import { chooseTable } from '../routing/table-choice.ts';
import { clearTable, readUse } from '../tun/kernel-reader.ts';
import { removeTable, tableName } from '../tun/nftables.ts';
import { RouteSocket } from '../tun/route-socket.ts';
import { isNetworkSetting, readSysctl, setSysctl } from '../tun/sysctl.ts';
import { forwardedMeanwhile, forwardingOf, unforwarded } from './other-forwarders.ts';
import { removePolicy } from './policy/policy-table.ts';
import { unsetResolver } from './resolver-configuration.ts';
import { runtimeDirectory } from './runtime-directory.ts';
import { withSetupLock, withSetupLockIfFree } from './setup-lock.ts';

export interface SetupState {
  /** Tables with what leads to them; more than one while the tunnel moves to another. */
  readonly routing?: readonly RoutingTable[];
  readonly firewall: boolean;
  readonly resolver: boolean;
  /** Names of nftables tables beside the firewall's and the policy's. */
  readonly tables?: readonly string[];
  /** Settings that we need to have a certain value, with the values to set back. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** Families that nobody forwarded here when that was switched on. */
  readonly unforwarded?: readonly Family[];
}

export const EMPTY_STATE: SetupState = { firewall: false, resolver: false, sysctls: {} };

const SUFFIX = '.json';

function pathOf(interfaceName: string): string {
  return join(runtimeDirectory(), interfaceName + SUFFIX);
}

/** The network namespace that this process is in, as no other is called before or after. */
interface Place {
  /** One per boot of the machine: cookies are counted anew from there. */
  readonly boot: string;
  readonly namespace: string;
}

function ourPlace(): Place {
  return {
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    namespace: String(loadAddon().networkNamespace()),
  };
}

/**
 * Undefined if there is none, or none that can be understood, or one of another namespace or boot.
 *
 * @throws CausewayError ADDON_MISSING
 */
export async function readState(interfaceName: string): Promise<SetupState | undefined> {
  let notes: unknown;
  try {
    notes = JSON.parse(await readFile(pathOf(interfaceName), 'utf8'));
  } catch {
    return undefined;
  }
  return parseState(notes, ourPlace());
}

/** By hand: a library of schemas would cost the daemon a fifth of its memory. */
function parseState(value: unknown, { boot, namespace }: Place): SetupState | undefined {
  if (!isObject(value) || value.boot !== boot || value.namespace !== namespace) return undefined;
  if (!isObject(value.sysctls)) return undefined;
  const { firewall, resolver, routing = [], tables = [], unforwarded = [] } = value;
  if (typeof firewall !== 'boolean' || typeof resolver !== 'boolean') return undefined;
  const sysctls: Record<string, string> = {};
  for (const [name, before] of Object.entries(value.sysctls)) {
    if (!isNetworkSetting(name) || typeof before !== 'string') return undefined;
    sysctls[name] = before;
  }
  if (!Array.isArray(tables) || !tables.every((name) => typeof name === 'string')) return undefined;
  if (!Array.isArray(routing) || !routing.every(isRoutingTable)) return undefined;
  if (!Array.isArray(unforwarded) || !unforwarded.every(isFamily)) return undefined;
  return { firewall, resolver, sysctls, tables, routing, unforwarded };
}

const isFamily = (value: unknown): value is Family => value === 4 || value === 6;

function isRoutingTable(value: unknown): value is RoutingTable {
  return (
    isObject(value) &&
    isCount(value.table) &&
    isCount(value.mark) &&
    isCount(value.priority) &&
    value.table !== 0
  );
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

/** Replaces the file in one step. */
async function writeState(interfaceName: string, state: SetupState): Promise<void> {
  const path = pathOf(interfaceName);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.new`, JSON.stringify({ ...ourPlace(), ...state }), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The notes of the other tunnels in this network namespace. */
async function neighbours(interfaceName: string): Promise<[name: string, SetupState][]> {
  const names = readdirSync(runtimeDirectory())
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .filter((name) => name !== interfaceName);
  const found: [string, SetupState][] = [];
  for (const name of names) {
    const state = await readState(name);
    if (state !== undefined) found.push([name, state]);
  }
  return found;
}

/** Kernel settings that the other tunnels in this network namespace need. */
export async function settingsOfNeighbours(interfaceName: string): Promise<ReadonlySet<string>> {
  const others = await neighbours(interfaceName);
  return new Set(others.flatMap(([, { sysctls }]) => Object.keys(sysctls)));
}

/** Adds to the notes. Settings are noted by `keepSetting`. */
export function noteSetup(
  interfaceName: string,
  part: Partial<Omit<SetupState, 'sysctls'>>,
): Promise<SetupState> {
  return withSetupLock(async () => {
    const state = { ...((await readState(interfaceName)) ?? EMPTY_STATE), ...part };
    await writeState(interfaceName, state);
    return state;
  });
}

/**
 * Finds a routing table, a mark and rule priorities that nobody uses and notes them, so that they are
 * ours from then on.
 *
 * @param mark of the tunnel's own datagrams; undefined: the table's number
 * @param former that stays noted until it is cleared
 */
export function reserveTable(
  interfaceName: string,
  socket: RouteSocket,
  mark?: number,
  former?: RoutingTable,
): Promise<RoutingTable> {
  return withSetupLock(async () => {
    const others = await neighbours(interfaceName);
    const noted = others.flatMap(([, { routing = [] }]) => routing);
    const use = readUse(socket);
    const target = chooseTable(
      {
        tables: new Set([...use.tables, ...noted.map(({ table }) => table)]),
        marks: new Set([...use.marks, ...noted.map((one) => one.mark)]),
        priorities: use.priorities,
      },
      mark,
    );
    const state = (await readState(interfaceName)) ?? EMPTY_STATE;
    const routing = former === undefined ? [target] : [target, former];
    await writeState(interfaceName, { ...state, routing });
    return target;
  });
}

/** Clears a table that the tunnel has moved away from, and forgets it. */
export function releaseTable(
  interfaceName: string,
  former: RoutingTable,
  socket: RouteSocket,
): Promise<void> {
  return withSetupLock(async () => {
    await clearTable(socket, former);
    const state = (await readState(interfaceName)) ?? EMPTY_STATE;
    const routing = (state.routing ?? []).filter(({ table }) => table !== former.table);
    await writeState(interfaceName, { ...state, routing });
  });
}

/**
 * Gives a kernel setting a value for as long as this tunnel is there; noted even if it has that
 * already, because another tunnel may have done that, and ends earlier.
 *
 * @returns whether it had another
 * @throws CausewayError PERMISSION
 */
export function keepSetting(
  interfaceName: string,
  setting: string,
  value: string,
): Promise<boolean> {
  return withSetupLock(async () => {
    const family = await unforwarded(setting);
    const before = await readSysctl(setting);
    if (before === undefined) return false;
    const state = (await readState(interfaceName)) ?? EMPTY_STATE;
    if (!(setting in state.sysctls)) {
      // What it was before the first of the tunnels that need it.
      const others = await neighbours(interfaceName);
      const first = others.find(([, { sysctls }]) => setting in sysctls)?.[1];
      const sysctls = { ...state.sysctls, [setting]: first?.sysctls[setting] ?? before };
      const families =
        first?.unforwarded ?? (family === undefined || before !== '0' ? [] : [family]);
      const all = new Set([...(state.unforwarded ?? []), ...families]);
      await writeState(interfaceName, { ...state, sysctls, unforwarded: [...all] });
    }
    return (await setSysctl(setting, value)) !== undefined;
  });
}

/**
 * Takes away all that the notes name, then the notes. Goes on after what is gone already, and after
 * what fails: then the notes stay for the next attempt.
 *
 * @returns families whose forwarding stays on, for somebody else
 * @throws what failed first
 */
export async function removeSetup(interfaceName: string): Promise<ReadonlySet<Family>> {
  const noted = await readState(interfaceName);
  if (noted === undefined) {
    await rm(pathOf(interfaceName), { force: true });
    return NOBODY;
  }
  const { routing = [], sysctls } = noted;
  const kept = await forwardedMeanwhile(noted.unforwarded ?? []).catch(() => NOBODY);
  const failures: unknown[] = [];
  const attempt = (step: Promise<void>): Promise<unknown> =>
    step.catch((error: unknown) => failures.push(error));
  if (noted.resolver) await attempt(unsetResolver(interfaceName));
  if (noted.firewall) {
    await attempt(removeTable(tableName(interfaceName)));
    await attempt(removePolicy(interfaceName));
  }
  for (const name of noted.tables ?? []) await attempt(removeTable(name));
  await withSetupLockIfFree(async () => {
    for (const target of routing) await attempt(clear(target));
    // The last first: some change others when they are set, which were noted before them.
    for (const [setting, before] of Object.entries(sysctls).toReversed()) {
      if (isKept(setting, kept)) continue;
      await attempt(setBack(interfaceName, setting, before));
    }
    if (failures.length === 0) await rm(pathOf(interfaceName), { force: true });
  });
  if (failures.length > 0) throw failures[0];
  return kept;
}

const NOBODY: ReadonlySet<Family> = new Set();

function isKept(setting: string, families: ReadonlySet<Family>): boolean {
  const family = forwardingOf(setting);
  return family !== undefined && families.has(family);
}

async function clear(target: RoutingTable): Promise<void> {
  const socket = new RouteSocket(loadAddon());
  try {
    await clearTable(socket, target);
  } finally {
    socket.close();
  }
}

/**
 * Takes one setting out of the notes and sets it back, unless somebody else relies on it: it is not
 * needed any more.
 *
 * @throws CausewayError PERMISSION
 */
export function releaseSetting(interfaceName: string, setting: string): Promise<void> {
  return withSetupLock(async () => {
    const state = await readState(interfaceName);
    const before = state?.sysctls[setting];
    if (state === undefined || before === undefined) return;
    const kept = await forwardedMeanwhile(state.unforwarded ?? []).catch(() => NOBODY);
    if (!isKept(setting, kept)) await setBack(interfaceName, setting, before);
    const { [setting]: _, ...sysctls } = state.sysctls;
    // When it is switched on anew, that is judged by what is there then.
    const needed = new Set(Object.keys(sysctls).map(forwardingOf));
    const left = (state.unforwarded ?? []).filter((family) => needed.has(family));
    await writeState(interfaceName, { ...state, sysctls, unforwarded: left });
  });
}

/** Sets a setting back, or leaves that to the last of the tunnels that need it. */
async function setBack(interfaceName: string, setting: string, before: string): Promise<void> {
  for (const [, { sysctls }] of await neighbours(interfaceName)) if (setting in sysctls) return;
  await setSysctl(setting, before);
}

/** Removes what a killed predecessor left; whether there was anything. */
export async function reclaimSetup(interfaceName: string): Promise<boolean> {
  if ((await readState(interfaceName)) === undefined) return false;
  await removeSetup(interfaceName);
  return true;
}
