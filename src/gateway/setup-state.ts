/**
 * What a tunnel added to the system, written down before it is added: IFNAME.json in the
 * runtime directory.
 * An orderly end removes the file with the rest; after a kill -9 the next start, or `down`, finds it
 * and takes everything away. The directory is on a tmpfs, so a reboot clears both.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeFirewall } from '../tun/nftables.ts';
import { removeRoutes } from '../tun/routes.ts';
import { setSysctl } from '../tun/sysctl.ts';
import { unsetResolver } from './resolver-configuration.ts';
import { runtimeDirectory } from './runtime-directory.ts';

export interface SetupState {
  /** Table and mark of our rules. */
  readonly routes?: { readonly table: number; readonly mark: number };
  readonly firewall: boolean;
  readonly resolver: boolean;
  /** Values to set back, by name. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export const EMPTY_STATE: SetupState = { firewall: false, resolver: false, sysctls: {} };

function pathOf(interfaceName: string): string {
  return join(runtimeDirectory(), `${interfaceName}.json`);
}

/** Replaces the file in one step. */
export async function writeState(interfaceName: string, state: SetupState): Promise<void> {
  const path = pathOf(interfaceName);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Undefined if there is none, or none that can be understood. */
export async function readState(interfaceName: string): Promise<SetupState | undefined> {
  try {
    return await parseState(await readFile(pathOf(interfaceName), 'utf8'));
  } catch {
    return undefined;
  }
}

/** Rare enough to load the schemas' library for it. */
async function parseState(text: string): Promise<SetupState | undefined> {
  const { z } = await import('zod');
  const routes = z.object({ table: z.int().positive(), mark: z.int().nonnegative() });
  const state = z
    .object({
      routes: routes.optional(),
      firewall: z.boolean(),
      resolver: z.boolean(),
      sysctls: z.record(z.string().regex(/^net\.[\w.]+$/), z.string().max(64)),
    })
    .parse(JSON.parse(text));
  const { firewall, resolver, sysctls } = state;
  return { firewall, resolver, sysctls, ...(state.routes && { routes: state.routes }) };
}

/** Takes away all that the state names, then the state. Goes on after what is gone already. */
export async function removeSetup(interfaceName: string, state: SetupState): Promise<void> {
  if (state.resolver) await unsetResolver(interfaceName);
  if (state.firewall) await removeFirewall(interfaceName);
  if (state.routes !== undefined) await removeRoutes(state.routes);
  for (const [name, value] of Object.entries(state.sysctls)) {
    await setSysctl(name, value).catch(() => {});
  }
  await rm(pathOf(interfaceName), { force: true });
}

/** Removes what a killed predecessor left; whether there was anything. */
export async function reclaimSetup(interfaceName: string): Promise<boolean> {
  const state = await readState(interfaceName);
  if (state === undefined) return false;
  await removeSetup(interfaceName, state);
  return true;
}
