/**
 * The kernel's side of a mesh interface: our mesh IPs, the netmap's routes in a table of their own,
 * TCP segment size clamped in both directions, forwarding. What changes is changed, the rest is not
 * touched; everything is written down before it is added (setup-state.ts) and taken away at the end.
 * No rule of it rewrites an address.
 */
import { join } from 'node:path';
import { CausewayError } from '../../errors.ts';
import { formatPrefix, type InterfaceAddress } from '../../routing/prefix.ts';
import { ipBatchForced } from '../../tun/command.ts';
import { configureLink } from '../../tun/link.ts';
import { type Firewall, firewallTable, installTable, removeTable } from '../../tun/nftables.ts';
import {
  type LocalRoute,
  planRoutes,
  type RouteConflict,
  type RoutePlan,
  type WantedRoute,
} from '../../tun/route-plan.ts';
import { installRoutes, type RouteTable, readLocalRoutes } from '../../tun/routes.ts';
import { readSysctl } from '../../tun/sysctl.ts';
import type { Log } from '../log.ts';
import { runtimeDirectory } from '../runtime-directory.ts';
import { withSetupLock } from '../setup-lock.ts';
import {
  keepSetting,
  noteSetup,
  reclaimSetup,
  releaseSetting,
  removeSetup,
  reserveTable,
} from '../setup-state.ts';
import { HostSettings } from './host-settings.ts';
import { NOTHING, type WantedKernel } from './wanted-kernel.ts';

export interface KernelOptions {
  readonly interfaceName: string;
  readonly mtu: number;
  /** Whether kernel settings may be changed so that packets are forwarded. */
  readonly forwarding: boolean;
  readonly log: Log;
}

export class MeshKernel {
  readonly #options: KernelOptions;
  readonly #target: RouteTable;
  readonly #hostSettings: HostSettings;
  /** Kernel settings that are noted as ours. */
  readonly #kept = new Set<string>();
  /** Bodies of the nftables tables that are in place, by name. */
  readonly #tables = new Map<string, string>();
  #wanted = NOTHING;
  #plan: RoutePlan | undefined;
  /** What an attempt that failed was to install: a part of it may be there. */
  #partial: RoutePlan | undefined;
  #firewall = '';
  /** Serializes changes, and keeps them from running into the removal. */
  #changing: Promise<unknown> = Promise.resolve();
  #removed = false;

  private constructor(options: KernelOptions, target: RouteTable) {
    this.#options = options;
    this.#target = target;
    this.#hostSettings = new HostSettings(options.interfaceName, options.forwarding);
  }

  /** Takes away what a killed predecessor left, and reserves a table. Adds nothing yet. */
  static async open(options: KernelOptions): Promise<MeshKernel> {
    const { interfaceName, log } = options;
    if (await reclaimSetup(interfaceName)) log.info('removed what a killed predecessor left');
    const table = await reserveTable(interfaceName);
    return new MeshKernel(options, { interfaceName, ...table, forwardedOnly: true });
  }

  /** SO_MARK for the datagrams of the data plane: those never see our table. */
  get mark(): number {
    return this.#target.mark;
  }

  get conflicts(): readonly RouteConflict[] {
    return this.#plan?.conflicts ?? [];
  }

  /** Prefixes that are routed into the interface now. */
  get routes(): readonly WantedRoute[] {
    return this.#plan?.routes ?? [];
  }

  /** @throws CausewayError PERMISSION, COMMAND_FAILED, COMMAND_MISSING */
  apply(wanted: WantedKernel): Promise<void> {
    return this.#serially(async () => {
      await this.#applyAddresses(wanted.addresses);
      this.#wanted = wanted;
      await this.#applyRoutes();
      await this.#applyFirewall();
      await this.#applyTables();
      await this.#applySettings();
    });
  }

  /** The main table may have changed: plans anew what is local and what is not. */
  replan(): Promise<void> {
    return this.#serially(async () => {
      this.#hostSettings.lookAgain();
      await this.#applyRoutes();
      await this.#applySettings();
    });
  }

  /** Takes routes, rules, firewall and settings away; the addresses go with the interface. */
  async remove(): Promise<void> {
    this.#removed = true;
    await this.#changing;
    await removeSetup(this.#options.interfaceName);
  }

  #serially(step: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(async () => {
      if (!this.#removed) await step();
    });
    this.#changing = done.catch(() => {});
    return done;
  }

  async #applyAddresses(addresses: readonly InterfaceAddress[]): Promise<void> {
    const { interfaceName, mtu } = this.#options;
    const before = this.#wanted.addresses.map(formatPrefix);
    const after = addresses.map(formatPrefix);
    if (before.length > 0 && before.join() === after.join()) return;
    await configureLink(interfaceName, addresses, mtu);
    for (const family of [4, 6] as const) {
      const old = this.#wanted.addresses.filter(
        (address) => address.family === family && !after.includes(formatPrefix(address)),
      );
      await ipBatchForced(
        family,
        old.map((address) => `address del ${formatPrefix(address)} dev ${interfaceName}`),
      );
    }
  }

  async #applyRoutes(): Promise<void> {
    const { prefixes, outside, closed } = this.#wanted;
    const nothing = this.#plan === undefined && this.#partial === undefined;
    if (prefixes.length + closed.length === 0 && nothing) return;
    const local = await readLocalRoutes(this.#target.interfaceName);
    // An edge is reached by its own way, even when a site's prefix covers its address.
    const edges = outside.map((prefix): LocalRoute => {
      return { prefix, connected: false, interfaceName: 'an edge' };
    });
    const plan: RoutePlan = { ...planRoutes(prefixes, [...local, ...edges]), closed };
    const before = this.#partial === undefined ? this.#plan : undefined;
    const earlier = this.#partial;
    this.#partial = plan;
    await withSetupLock(() => installRoutes(this.#target, plan, before, earlier));
    this.#plan = plan;
    this.#partial = undefined;
  }

  async #applyFirewall(): Promise<void> {
    const { interfaceName, mtu, log } = this.#options;
    if (this.#wanted.prefixes.length === 0) return;
    // A default route is not for what this host sends: its own addresses and datagrams need no care.
    const firewall: Firewall = { interfaceName, mtu, shielded: [], mark: undefined };
    const text = JSON.stringify(firewall);
    if (text === this.#firewall) return;
    await noteSetup(interfaceName, { firewall: true });
    try {
      await installTable(firewallTable(firewall), join(runtimeDirectory(), `${interfaceName}.nft`));
      this.#firewall = text;
    } catch (error) {
      if (!(error instanceof CausewayError)) throw error;
      log.warn(`TCP's segment size is not clamped to the mesh's MTU. ${error.message}`);
    }
  }

  async #applyTables(): Promise<void> {
    const { interfaceName } = this.#options;
    const { tables } = this.#wanted;
    const names = tables.map(({ name }) => name);
    const noted = [...new Set([...names, ...this.#tables.keys()])];
    if (noted.length > 0) await noteSetup(interfaceName, { tables: noted });
    for (const table of tables) {
      if (this.#tables.get(table.name) === table.body) continue;
      await installTable(table, join(runtimeDirectory(), `${table.name}.nft`));
      this.#tables.set(table.name, table.body);
    }
    for (const name of noted) {
      if (names.includes(name)) continue;
      await removeTable(name);
      this.#tables.delete(name);
    }
  }

  async #applySettings(): Promise<void> {
    const { log, interfaceName } = this.#options;
    const { served, settings } = this.#wanted;
    const wanted: Record<string, string> = {
      ...(await this.#hostSettings.wanted(served)),
      ...settings,
    };
    for (const [name, value] of Object.entries(wanted)) {
      if (await this.#keep(name, value)) log.info({ setting: name, value }, 'set, until the end');
    }
    for (const name of [...this.#kept].toReversed()) {
      if (name in wanted) continue;
      await releaseSetting(interfaceName, name);
      this.#kept.delete(name);
    }
  }

  /** Whether it had another value. */
  async #keep(name: string, value: string): Promise<boolean> {
    if (this.#kept.has(name) && (await readSysctl(name)) === value) return false;
    const changed = await keepSetting(this.#options.interfaceName, name, value);
    this.#kept.add(name);
    return changed;
  }
}
