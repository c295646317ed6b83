/**
 * What a tunnel has in the kernel: read part by part, remembered, and changed. What will be added is
 * written down first (setup-state.ts).
 */
import { join } from 'node:path';
import { CausewayError } from '../errors.ts';
import type { KernelChange, KernelState } from '../routing/kernel-plan.ts';
import { type PrefixKey, prefixKey } from '../routing/prefix-key.ts';
import type { TableRoute } from '../routing/route-plan.ts';
import { isOurs, type RoutingTable } from '../routing/routing-rules.ts';
import { ipBatch, ipBatchForced } from '../tun/command.ts';
import {
  listTable,
  readLink,
  readRules,
  readTable,
  sharedWithOthers,
  tunnelRules,
} from '../tun/kernel-reader.ts';
import { installTable, type NftTable, removeTable } from '../tun/nftables.ts';
import { type Refusal, type RouteSocket, refused } from '../tun/route-socket.ts';
import { readSysctl } from '../tun/sysctl.ts';
import type { Log } from './log.ts';
import { runtimeDirectory } from './runtime-directory.ts';
import { withSetupLock } from './setup-lock.ts';
import { keepSetting, noteSetup, releaseSetting } from './setup-state.ts';

/** The link as it is before anything is known of it. */
const UNKNOWN_LINK = { up: false, mtu: 0, addresses: new Set<string>() };

export class InstalledKernel implements KernelState {
  link: KernelState['link'] = UNKNOWN_LINK;
  routes = new Map<PrefixKey, TableRoute>();
  rules: KernelState['rules'] = [];
  readonly tables = new Map<string, string>();
  readonly settings = new Map<string, string>();
  /** Addresses that were ever desired: those of others on the interface are left alone. */
  readonly ownAddresses = new Set<string>();
  /** By table: what is missing because it cannot be installed, although all goes on without it. */
  readonly warnings = new Map<string, string>();
  readonly #interfaceName: string;
  readonly #socket: RouteSocket;
  readonly #log: Log;
  #interfaceIndex = 0;
  /** How `nft` lists the tables that we installed. */
  readonly #listings = new Map<string, { readonly body: string; readonly listing: string }>();

  constructor(interfaceName: string, socket: RouteSocket, log: Log) {
    this.#interfaceName = interfaceName;
    this.#socket = socket;
    this.#log = log;
  }

  readLink(): void {
    const link = readLink(this.#socket, this.#interfaceName, this.ownAddresses);
    this.#interfaceIndex = link?.index ?? 0;
    this.link = link ?? UNKNOWN_LINK;
  }

  /** Routes and rules; what somebody else uses of what is ours, in words. */
  readRouting(target: RoutingTable): string | undefined {
    const rules = readRules(this.#socket);
    const installed = readTable(this.#socket, target.table, this.#interfaceIndex);
    this.routes = installed.routes;
    this.rules = tunnelRules(rules);
    return sharedWithOthers(target, rules, installed);
  }

  async readTables(desired: readonly NftTable[]): Promise<void> {
    const found = new Map<string, string>();
    for (const name of new Set([...desired.map(({ name }) => name), ...this.#listings.keys()])) {
      const listing = await listTable(name);
      if (listing === undefined) continue;
      const known = this.#listings.get(name);
      found.set(name, known?.listing === listing ? known.body : listing);
    }
    // At once: whoever asks meanwhile what is installed is told of no half of it.
    this.tables.clear();
    for (const [name, version] of found) this.tables.set(name, version);
  }

  /** Those that are noted; before that, a setting's value is none of ours. */
  async readSettings(): Promise<void> {
    for (const [name, value] of this.settings) {
      // One that the kernel does not have is taken for set.
      this.settings.set(name, (await readSysctl(name)) ?? value);
    }
  }

  /** @throws CausewayError PERMISSION, COMMAND_FAILED, COMMAND_MISSING */
  async make(
    change: KernelChange,
    target: RoutingTable,
    desired: readonly NftTable[],
  ): Promise<void> {
    const interfaceName = this.#interfaceName;
    switch (change.kind) {
      case 'set': {
        const { setting, value } = change;
        if (await keepSetting(interfaceName, setting, value)) {
          this.#log.info({ setting, value }, 'set, until the end');
        }
        // One that the kernel does not have is not asked for again.
        this.settings.set(setting, value);
        return;
      }
      case 'release':
        await releaseSetting(interfaceName, change.setting);
        this.settings.delete(change.setting);
        return;
      case 'add-address':
      case 'remove-address':
        await this.#changeAddress(change.kind, change.address);
        return;
      case 'link':
        await ipBatch(4, [`link set dev ${interfaceName} mtu ${change.mtu} up`]);
        this.readLink();
        return;
      case 'put-table':
        await this.#putTable(desired.find(({ name }) => name === change.name)!);
        return;
      case 'remove-table':
        await removeTable(change.name);
        this.tables.delete(change.name);
        this.#listings.delete(change.name);
        this.warnings.delete(change.name);
        return;
      case 'put-routes': {
        const { routes } = change;
        const refusals = await this.#socket.putRoutes(routes, target.table, this.#interfaceIndex);
        for (const [i, route] of routes.entries()) {
          if (!refusals.has(i)) this.routes.set(prefixKey(route), route);
        }
        throwFirst(refusals);
        return;
      }
      case 'remove-routes': {
        const refusals = await this.#socket.removeRoutes(change.routes, target.table);
        for (const [i, route] of change.routes.entries()) {
          if (!refusals.has(i)) this.routes.delete(prefixKey(route));
        }
        throwFirst(refusals);
        return;
      }
      case 'add-rule':
      case 'remove-rule':
        await this.#changeRule(change, target);
        return;
    }
  }

  async #changeAddress(kind: 'add-address' | 'remove-address', address: string): Promise<void> {
    const family = address.includes(':') ? 6 : 4;
    const to = `${address} dev ${this.#interfaceName}`;
    if (kind === 'add-address') await ipBatch(family, [`address replace ${to}`]);
    else await ipBatchForced(family, [`address del ${to}`]);
    this.readLink();
  }

  async #putTable(table: NftTable): Promise<void> {
    const { name, body, without } = table;
    await noteSetup(this.#interfaceName, {
      tables: [...new Set([...this.#listings.keys(), name])],
    });
    try {
      await installTable(table, join(runtimeDirectory(), `${name}.nft`));
      this.#listings.set(name, { body, listing: (await listTable(name)) ?? '' });
      this.warnings.delete(name);
    } catch (error) {
      if (without === undefined || !(error instanceof CausewayError)) throw error;
      const warning = `${without} ${error.message}`;
      if (this.warnings.get(name) !== warning) this.#log.warn(warning);
      this.warnings.set(name, warning);
    }
    this.tables.set(name, body);
  }

  /** Tunnels share the rule for the main table: whether it is needed is asked when nobody changes it. */
  async #changeRule(
    change: Extract<KernelChange, { kind: 'add-rule' | 'remove-rule' }>,
    target: RoutingTable,
  ): Promise<void> {
    await withSetupLock(async () => {
      const { rule, kind } = change;
      if (kind === 'add-rule') this.#socket.addRule(rule);
      else if (isOurs(rule, target, tunnelRules(readRules(this.#socket)))) {
        this.#socket.removeRule(rule);
      }
      this.rules = tunnelRules(readRules(this.#socket));
    });
  }
}

function throwFirst(refusals: ReadonlyMap<number, Refusal>): void {
  for (const { what, errno } of refusals.values()) {
    const others = refusals.size > 1 ? `, and ${refusals.size - 1} others` : '';
    throw refused(`The route ${what}${others}`, errno);
  }
}
