/**
 * Makes the kernel what a tunnel needs, and keeps it so: reads what may have changed, plans
 * (routing/kernel-plan.ts), and makes the changes. Where somebody else uses the tunnel's routing table, mark or
 * priorities, it moves to others. Nothing of it runs twice at a time: callers see to that.
 */
import { loadAddon } from '../native/addon.ts';
import type { Family } from '../routing/address.ts';
import {
  describeLosses,
  type KernelChange,
  type KernelState,
  planKernel,
} from '../routing/kernel-plan.ts';
import { formatPrefix, type InterfaceAddress, type Prefix } from '../routing/prefix.ts';
import type { PrefixKey } from '../routing/prefix-key.ts';
import {
  type LocalRoute,
  type RouteConflict,
  RoutePlanner,
  sameLocalRoutes,
  type WantedRoute,
  type WantedRoutes,
} from '../routing/route-plan.ts';
import { type RoutingTable, rulesOf } from '../routing/routing-rules.ts';
import { FIRST_CHOICE } from '../routing/table-choice.ts';
import { KERNEL_PARTS, type KernelPart } from '../tun/kernel-monitor.ts';
import { readLocalRoutes, readRules, readTable, sharedWithOthers } from '../tun/kernel-reader.ts';
import type { NftTable } from '../tun/nftables.ts';
import { RouteSocket } from '../tun/route-socket.ts';
import { InstalledKernel } from './installed-kernel.ts';
import type { Log } from './log.ts';
import { reclaimSetup, releaseTable, removeSetup, reserveTable } from './setup-state.ts';

export interface DesiredKernel {
  readonly mtu: number;
  readonly addresses: readonly InterfaceAddress[];
  readonly prefixes: WantedRoutes;
  /** Never routed into the interface. */
  readonly outside: readonly Prefix[];
  readonly closed: readonly Family[];
  readonly tables: readonly NftTable[];
  readonly settings: Readonly<Record<string, string>>;
}

export interface ReconcilerOptions {
  readonly interfaceName: string;
  readonly log: Log;
  /** Of the tunnel's own datagrams; undefined = one that nobody uses. */
  readonly mark?: number;
  readonly forwardedOnly?: boolean;
  /** Another mark is in use, because somebody else took the table, mark or priority that was ours. */
  readonly onMark: (mark: number) => Promise<void>;
}

export class KernelReconciler {
  readonly #options: ReconcilerOptions;
  readonly #socket: RouteSocket;
  readonly #planner = new RoutePlanner();
  readonly #stale = new Set<KernelPart>(KERNEL_PARTS);
  #target: RoutingTable;
  #desired: DesiredKernel | undefined;
  #local: readonly LocalRoute[] = [];
  /** `#local` and what is never routed into the interface, and the array that the latter was. */
  #outside: { readonly of: string; readonly local: object; readonly all: readonly LocalRoute[] } = {
    of: '',
    local: [],
    all: [],
  };
  readonly #installed: InstalledKernel;
  /** What of the routes was not compared since something was refused or read. */
  #compareAll = true;
  #sharedWith: string | undefined;
  #halted = false;

  private constructor(options: ReconcilerOptions, socket: RouteSocket, target: RoutingTable) {
    this.#options = options;
    this.#socket = socket;
    this.#target = target;
    this.#installed = new InstalledKernel(options.interfaceName, socket, options.log);
  }

  /**
   * Takes away what a killed predecessor left, and reserves a table. Adds nothing yet.
   *
   * @throws CausewayError PERMISSION
   */
  static async open(options: ReconcilerOptions): Promise<KernelReconciler> {
    const { interfaceName, log, mark, forwardedOnly = false } = options;
    if (await reclaimSetup(interfaceName)) log.info('removed what a killed predecessor left');
    const socket = new RouteSocket(loadAddon());
    try {
      const place = await reserveTable(interfaceName, socket, mark);
      const reconciler = new KernelReconciler(options, socket, { ...place, forwardedOnly });
      const there = readTable(socket, FIRST_CHOICE.table, 0);
      reconciler.#sayTaken(sharedWithOthers(FIRST_CHOICE, readRules(socket), there));
      return reconciler;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** SO_MARK for the datagrams of the data plane: those never see our table. */
  get mark(): number {
    return this.#target.mark;
  }

  get table(): number {
    return this.#target.table;
  }

  /** Of our route socket, by which its changes are told from others'. */
  get port(): number {
    return this.#socket.port;
  }

  get conflicts(): readonly RouteConflict[] {
    return this.#planner.conflicts;
  }

  /** Routed into the interface now. */
  get routes(): readonly WantedRoute[] {
    return [...this.#installed.routes.values()].filter(({ kind }) => kind === undefined);
  }

  /** Whether the nftables table of this name is installed as it is desired. */
  hasTable(name: string): boolean {
    const table = this.#desired?.tables.find((one) => one.name === name);
    return table !== undefined && this.#installed.tables.get(name) === table.body;
  }

  /** What is missing although all goes on without it; what was taken by somebody else. */
  get warnings(): readonly string[] {
    return [
      ...this.#installed.warnings.values(),
      ...(this.#sharedWith === undefined ? [] : [this.#sharedWith]),
    ];
  }

  /** Somebody else changed these: they are read before the next plan. */
  changed(parts: Iterable<KernelPart>): void {
    for (const part of parts) this.#stale.add(part);
  }

  /** Reads our nftables tables, so that `hasTable` knows, before what is missing is put back. */
  async lookAtTables(): Promise<void> {
    if (this.#desired !== undefined) await this.#installed.readTables(this.#desired.tables);
  }

  /**
   * Makes the kernel what is desired, or what was desired last. What is refused does not keep the rest
   * from it.
   *
   * @returns what somebody else had taken away, in words
   * @throws CausewayError PERMISSION, COMMAND_FAILED, COMMAND_MISSING: the first that was refused
   */
  async reconcile(desired = this.#desired): Promise<readonly string[]> {
    if (desired === undefined) return [];
    const before = this.#desired;
    // Nothing of ours is in the main table.
    const looked = [...this.#stale].some((part) => part !== 'local');
    const moved = await this.#read(before ?? desired);
    // Where nobody else changed anything, nothing is compared for what they took; nor where a family is
    // switched on or off, which takes all of it away.
    const isLoss = looked && before !== undefined && !moved && sameFamilies(before, desired);
    const lost = isLoss ? this.#losses(before) : [];
    this.#desired = desired;
    for (const address of desired.addresses)
      this.#installed.ownAddresses.add(formatPrefix(address));
    const touched = this.#planner.update(desired.prefixes, this.#allLocal(desired.outside));
    const changes = this.#plan(desired, this.#compareAll ? undefined : touched);
    this.#compareAll = true;
    await this.#apply(changes, desired);
    this.#compareAll = false;
    return lost;
  }

  /** Our interface is gone: of what is being changed, the rest is let be. */
  halt(): void {
    this.#halted = true;
  }

  /** Takes routes, rules, tables and settings away; the addresses go with the interface. */
  async remove(): Promise<void> {
    try {
      this.#socket.close();
    } finally {
      const kept = await removeSetup(this.#options.interfaceName);
      for (const family of kept)
        this.#options.log.warn({ family }, 'forwarding stays on, for others');
    }
  }

  #allLocal(outside: readonly Prefix[]): readonly LocalRoute[] {
    const of = outside.map(formatPrefix).join();
    if (this.#outside.of !== of || this.#outside.local !== this.#local) {
      // An edge is reached by its own way, even when a site's prefix covers its address.
      const edges = outside.map((prefix): LocalRoute => {
        return { prefix, connected: false, interfaceName: 'an edge' };
      });
      this.#outside = { of, local: this.#local, all: [...this.#local, ...edges] };
    }
    return this.#outside.all;
  }

  #plan(
    { mtu, addresses, closed, tables, settings }: DesiredKernel,
    touched: ReadonlySet<PrefixKey> | undefined,
  ): KernelChange[] {
    const routes = this.#planner.table;
    const desired: KernelState = {
      link: { up: true, mtu, addresses: new Set(addresses.map(formatPrefix)) },
      routes,
      rules: rulesOf(this.#target, routes, closed),
      tables: new Map(tables.map(({ name, body }) => [name, body])),
      settings: new Map(Object.entries(settings)),
    };
    return planKernel(desired, this.#installed, this.#target.table, touched);
  }

  #losses(before: DesiredKernel): readonly string[] {
    const { warnings } = this.#installed;
    return describeLosses(this.#plan(before, undefined), (table) => warnings.has(table));
  }

  /** Reads what may have changed; whether we moved to another table because ours is taken. */
  async #read(desired: DesiredKernel): Promise<boolean> {
    const { interfaceName } = this.#options;
    const stale = new Set(this.#stale);
    this.#stale.clear();
    try {
      if (stale.has('link')) this.#installed.readLink();
      if (stale.has('local')) {
        const local = readLocalRoutes(this.#socket, interfaceName);
        // The same array, so that not all is planned anew each time that a container comes or goes.
        if (!sameLocalRoutes(local, this.#local)) this.#local = local;
      }
      if (stale.has('tables')) await this.#installed.readTables(desired.tables);
      if (stale.has('settings')) await this.#installed.readSettings();
      if (!stale.has('routes') && !stale.has('rules')) return false;
      this.#compareAll = true;
      const taken = this.#installed.readRouting(this.#target);
      if (taken !== undefined) await this.#move(taken);
      return taken !== undefined;
    } catch (error) {
      this.changed(stale);
      throw error;
    }
  }

  /** @param taken what somebody else than a tunnel uses of what we have had, or would have */
  #sayTaken(taken: string | undefined): void {
    if (taken === undefined) return;
    const { table, priority } = this.#target;
    this.#options.log.warn({ taken, table, priority }, 'somebody else uses it: another is taken');
    this.#sharedWith = `Another program uses ${taken}: this tunnel has the routing table ${table} and rules from ${priority} on instead.`;
  }

  /** Somebody else uses what we do: another table is ours from now on, and the old one is cleared. */
  async #move(taken: string): Promise<void> {
    const { interfaceName, mark, onMark, forwardedOnly = false } = this.#options;
    const former = this.#target;
    this.#target = {
      ...(await reserveTable(interfaceName, this.#socket, mark, former)),
      forwardedOnly,
    };
    this.#sayTaken(taken);
    if (former.mark !== this.mark) await onMark(this.mark);
    await releaseTable(interfaceName, former, this.#socket);
    this.#installed.readRouting(this.#target);
  }

  async #apply(changes: readonly KernelChange[], desired: DesiredKernel): Promise<void> {
    const failures: unknown[] = [];
    for (const change of changes) {
      if (this.#halted) return;
      try {
        await this.#installed.make(change, this.#target, desired.tables);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

function sameFamilies(a: DesiredKernel, b: DesiredKernel): boolean {
  const of = ({ addresses }: DesiredKernel): string => addresses.map(({ family }) => family).join();
  return of(a) === of(b);
}
