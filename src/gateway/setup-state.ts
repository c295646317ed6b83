/**
 * What a tunnel added to the system, written down before it is added: IFNAME.json in the
 * runtime directory.
 * An orderly end removes the file with the rest; after a kill -9 the next start, or `down`, finds it
 * and takes everything away. Notes are believed only in the network namespace that they speak of:
 * its inode, which the directory is named by, is given to another when it is gone, and that one's
 * settings and routes are not ours to take away.
 *
 * Tunnels read each other's notes: a table that one has noted is taken, and a kernel setting that
 * several need is set back by the last of them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { loadAddon } from '../native/addon.ts';
import { removeTable, tableName } from '../tun/nftables.ts';
import { chooseTable, removeRoutes } from '../tun/routes.ts';
import { isNetworkSetting, readSysctl, setSysctl } from '../tun/sysctl.ts';
import { removePolicy } from './policy/policy-table.ts';
import { unsetResolver } from './resolver-configuration.ts';
import { runtimeDirectory } from './runtime-directory.ts';
import { withSetupLock, withSetupLockIfFree } from './setup-lock.ts';

export interface SetupState {
  /** Table and mark of our rules. */
  readonly routes?: { readonly table: number; readonly mark: number };
  readonly firewall: boolean;
  readonly resolver: boolean;
  /** Names of nftables tables beside the firewall's and the policy's. */
  readonly tables?: readonly string[];
  /** Settings that we need to have a certain value, with the values to set back. */
  readonly sysctls: Readonly<Record<string, string>>;
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
  const { firewall, resolver, routes, tables = [] } = value;
  if (typeof firewall !== 'boolean' || typeof resolver !== 'boolean') return undefined;
  const sysctls: Record<string, string> = {};
  for (const [name, before] of Object.entries(value.sysctls)) {
    if (!isNetworkSetting(name) || typeof before !== 'string') return undefined;
    sysctls[name] = before;
  }
  if (!Array.isArray(tables) || !tables.every((name) => typeof name === 'string')) return undefined;
  const noted = { firewall, resolver, sysctls, tables };
  if (routes === undefined) return noted;
  if (!isObject(routes) || !isCount(routes.table) || !isCount(routes.mark)) return undefined;
  if (routes.table === 0) return undefined;
  return { ...noted, routes: { table: routes.table, mark: routes.mark } };
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
 * Finds a routing table that nobody uses and notes it, so that it is ours from then on.
 *
 * @param fwmark of the tunnel's own datagrams; 0: the table's number
 */
export function reserveTable(
  interfaceName: string,
  fwmark = 0,
): Promise<{ readonly table: number; readonly mark: number }> {
  return withSetupLock(async () => {
    const others = await neighbours(interfaceName);
    const taken = others.flatMap(([, { routes }]) => (routes ? [routes.table, routes.mark] : []));
    const table = await chooseTable(taken);
    const routes = { table, mark: fwmark || table };
    await writeState(interfaceName, { ...EMPTY_STATE, routes });
    return routes;
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
    const before = await readSysctl(setting);
    if (before === undefined) return false;
    const state = (await readState(interfaceName)) ?? EMPTY_STATE;
    if (!(setting in state.sysctls)) {
      const sysctls = { ...state.sysctls, [setting]: before };
      await writeState(interfaceName, { ...state, sysctls });
    }
    return (await setSysctl(setting, value)) !== undefined;
  });
}

/**
 * Takes away all that the notes name, then the notes. Goes on after what is gone already, and after
 * what fails: then the notes stay for the next attempt.
 *
 * @throws what failed first
 */
export async function removeSetup(interfaceName: string): Promise<void> {
  const noted = await readState(interfaceName);
  if (noted === undefined) return rm(pathOf(interfaceName), { force: true });
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
    // Read again: another tunnel may have handed a setting over.
    const { routes, sysctls } = (await readState(interfaceName)) ?? noted;
    if (routes !== undefined) await attempt(removeRoutes(routes));
    // The last first: some change others when they are set, which were noted before them.
    for (const [setting, before] of Object.entries(sysctls).toReversed()) {
      await attempt(setBack(interfaceName, setting, before));
    }
    if (failures.length === 0) await rm(pathOf(interfaceName), { force: true });
  });
  if (failures.length > 0) throw failures[0];
}

/**
 * Takes one setting out of the notes and sets it back: it is not needed any more.
 *
 * @throws CausewayError PERMISSION
 */
export function releaseSetting(interfaceName: string, setting: string): Promise<void> {
  return withSetupLock(async () => {
    const state = await readState(interfaceName);
    const before = state?.sysctls[setting];
    if (state === undefined || before === undefined) return;
    await setBack(interfaceName, setting, before);
    const { [setting]: _, ...sysctls } = state.sysctls;
    await writeState(interfaceName, { ...state, sysctls });
  });
}

/** Sets a setting back, or leaves that to another tunnel that still needs it. */
async function setBack(interfaceName: string, setting: string, before: string): Promise<void> {
  for (const [name, state] of await neighbours(interfaceName)) {
    if (!(setting in state.sysctls)) continue;
    await writeState(name, { ...state, sysctls: { ...state.sysctls, [setting]: before } });
    return;
  }
  await setSysctl(setting, before);
}

/** Removes what a killed predecessor left; whether there was anything. */
export async function reclaimSetup(interfaceName: string): Promise<boolean> {
  if ((await readState(interfaceName)) === undefined) return false;
  await removeSetup(interfaceName);
  return true;
}
