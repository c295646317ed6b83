/**
 * The kernel's side of a mesh interface: our mesh IPs, the netmap's routes in a table of their own,
 * TCP segment size clamped in both directions, forwarding. What of them is in place, and how it gets
 * there, is the reconciler's (kernel-reconciler.ts). No rule of it rewrites an address.
 */
import type { Family } from '../../routing/address.ts';
import type { Prefix } from '../../routing/prefix.ts';
import type { RouteConflict, WantedRoute } from '../../routing/route-plan.ts';
import type { KernelPart } from '../../tun/kernel-monitor.ts';
import { firewallTable, type NftTable, outsideTables } from '../../tun/nftables.ts';
import { type DesiredKernel, KernelReconciler } from '../kernel-reconciler.ts';
import type { Log } from '../log.ts';
import { HostSettings } from './host-settings.ts';
import { type Ipv6Support, readIpv6Support, sayIpv6Support } from './ipv6-support.ts';
import { NOTHING, type WantedKernel } from './wanted-kernel.ts';

export interface KernelOptions {
  readonly interfaceName: string;
  readonly mtu: number;
  /** Whether kernel settings may be changed so that packets are forwarded. */
  readonly forwarding: boolean;
  readonly log: Log;
  /** The tunnel's datagrams are to carry another mark from now on. */
  readonly onMark: (mark: number) => Promise<void>;
}

export class MeshKernel {
  readonly #options: KernelOptions;
  readonly #reconciler: KernelReconciler;
  readonly #hostSettings: HostSettings;
  #wanted = NOTHING;
  #ipv6: Ipv6Support = 'on';
  /** Serializes changes, and keeps them from running into the removal. */
  #changing: Promise<unknown> = Promise.resolve();
  #halted = false;

  private constructor(options: KernelOptions, reconciler: KernelReconciler) {
    this.#options = options;
    this.#reconciler = reconciler;
    this.#hostSettings = new HostSettings(options.interfaceName, options.forwarding);
  }

  /** Takes away what a killed predecessor left, and reserves a table. Adds nothing yet. */
  static async open(options: KernelOptions): Promise<MeshKernel> {
    const { interfaceName, log, onMark } = options;
    const place = { interfaceName, log, onMark, forwardedOnly: true };
    return new MeshKernel(options, await KernelReconciler.open(place));
  }

  /** SO_MARK for the datagrams of the data plane: those never see our table. */
  get mark(): number {
    return this.#reconciler.mark;
  }

  /** Number of our routing table. */
  get table(): number {
    return this.#reconciler.table;
  }

  /** By which our changes are told from others' (kernel-monitor.ts). */
  get port(): number {
    return this.#reconciler.port;
  }

  /** Of which our interface can have addresses now. */
  get families(): readonly Family[] {
    return this.#ipv6 === 'on' ? [4, 6] : [4];
  }

  get conflicts(): readonly RouteConflict[] {
    return this.#reconciler.conflicts;
  }

  /** Prefixes that are routed into the interface now. */
  get routes(): readonly WantedRoute[] {
    return this.#reconciler.routes;
  }

  /** Whether the nftables table of this name is installed as it is wanted. */
  hasTable(name: string): boolean {
    return this.#reconciler.hasTable(name);
  }

  /** What the operator should know of, a sentence each. */
  get warnings(): readonly string[] {
    const said = sayIpv6Support(this.#ipv6, this.#options.interfaceName);
    return [...this.#reconciler.warnings, ...(said === undefined ? [] : [said])];
  }

  /** @throws CausewayError PERMISSION, COMMAND_FAILED, COMMAND_MISSING */
  async apply(wanted: WantedKernel): Promise<void> {
    await this.#serially(async () => {
      this.#wanted = wanted;
      await this.#reconciler.reconcile(await this.#desired());
    });
  }

  /** Somebody else changed these parts: they are read with the next plan. */
  changed(parts: ReadonlySet<KernelPart>): void {
    if (parts.has('local')) this.#hostSettings.lookAgain();
    this.#reconciler.changed(parts);
  }

  /** Sees what of our nftables tables is left, and changes nothing. */
  async lookAtTables(): Promise<void> {
    await this.#serially(() => this.#reconciler.lookAtTables());
  }

  /**
   * Plans anew what somebody else's changes call for.
   *
   * @returns what of ours they had taken away, in words
   */
  async replan(): Promise<readonly string[]> {
    let lost: readonly string[] = [];
    await this.#serially(async () => {
      lost = await this.#reconciler.reconcile(await this.#desired());
    });
    return lost;
  }

  /** The interface is gone: nothing is changed any more, but taken away. */
  halt(): void {
    this.#halted = true;
    this.#reconciler.halt();
  }

  /** Takes routes, rules, firewall and settings away; the addresses go with the interface. */
  async remove(): Promise<void> {
    this.#halted = true;
    await this.#changing;
    await this.#reconciler.remove();
  }

  #serially(step: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(async () => {
      if (!this.#halted) await step();
    });
    this.#changing = done.catch(() => {});
    return done;
  }

  /** Of what is wanted, what this kernel can have. */
  async #desired(): Promise<DesiredKernel> {
    const { addresses, prefixes, outside, closed, served, tables, settings } = this.#wanted;
    const wanted = await this.#hostSettings.wanted(served);
    this.#ipv6 = await readIpv6Support(this.#options.interfaceName);
    const isHere = ({ family }: Prefix): boolean => family === 4 || this.#ipv6 === 'on';
    const isKnown = (family: Family): boolean => family === 4 || this.#ipv6 !== 'missing';
    return {
      mtu: this.#options.mtu,
      addresses: addresses.filter(isHere),
      prefixes: this.#ipv6 === 'on' ? prefixes : prefixes.map((list) => list.filter(isHere)),
      outside,
      // Other interfaces than ours may forward it.
      closed: closed.filter(isKnown),
      tables: [...this.#firewall(), ...this.#hostSettings.tables, ...tables],
      settings: { ...wanted, ...settings },
    };
  }

  #firewall(): NftTable[] {
    const { interfaceName, mtu } = this.#options;
    if (this.#wanted.prefixes.every(({ length }) => length === 0)) return [];
    // A default route is not for what this host sends: its own addresses and datagrams need no care.
    const table = firewallTable({
      ...{ interfaceName, mtu, byRoute: true },
      ...{ shielded: [], mark: undefined },
    });
    return [
      { ...table, without: "TCP's segment size is not clamped to the mesh's MTU." },
      ...outsideTables(interfaceName, this.#wanted.breakoutMtus),
    ];
  }
}
