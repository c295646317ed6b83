/**
 * The netmap in force: translated, installed in the tunnel and the kernel, and kept on disk for the
 * next start. The edges' addresses in use are part of it: peers behind an edge are reached there.
 *
 * Methods that change something are called one after the other (turns.ts).
 */
import { type BreakoutWish, chooseBreakout, defaultFamilies } from '../../control/breakout.ts';
import { withPolicyInForce } from '../../control/later-policy.ts';
import type { Netmap } from '../../control/netmap.ts';
import type { KernelPart } from '../../tun/kernel-monitor.ts';
import type { DeviceChange } from '../../wireguard/configuration.ts';
import type { Log } from '../log.ts';
import { PolicyEnforcer } from '../policy/policy-enforcer.ts';
import type { Tunnel } from '../tunnel.ts';
import { ArrivedNetmaps } from './arrived-netmap.ts';
import { BreakoutChoice } from './breakout-choice.ts';
import { approvedPrefixes, breakoutTableName } from './breakout-tables.ts';
import { changeParts } from './change-parts.ts';
import { type Exits, isReversePathStrict, NO_EXITS, readExits } from './default-interfaces.ts';
import type { EdgeEndpoints } from './edge-endpoints.ts';
import { EdgeWatch } from './edge-watch.ts';
import { firstHandshake } from './first-handshake.ts';
import { KernelKeeper } from './kernel-keeper.ts';
import type { MeshKernel } from './mesh-kernel.ts';
import type { CachedNetmap } from './netmap-cache.ts';
import { changeBetween, NetmapTranslator, type Wanted } from './netmap-translation.ts';
import { NetmapWriter } from './netmap-writer.ts';
import { OwnDestinations } from './own-destinations.ts';
import { PathWatch } from './path-watch.ts';
import { rehandshake } from './rehandshake.ts';
import type { StateDirectory } from './state-directory.ts';
import type { Turns } from './turns.ts';
import {
  closedFamilies,
  type HostNeeds,
  NO_NEEDS,
  NOTHING,
  type WantedKernel,
  wantedKernel,
} from './wanted-kernel.ts';

export interface NetmapInForceOptions {
  readonly tunnel: Tunnel;
  readonly kernel: MeshKernel;
  readonly endpoints: EdgeEndpoints;
  readonly state: StateDirectory;
  /** Bytes; of the interface. */
  readonly mtu: number;
  /** Our own settings of the data plane. */
  readonly device: Omit<DeviceChange, 'peers'>;
  /** What starts here by itself, saving for example, takes its turn as well. */
  readonly turns: Turns;
  readonly breakout: BreakoutWish;
  /** Whether other gateways' questions are answered. */
  readonly answers: boolean;
  /** Called before another netmap is installed, when its edges are others. */
  readonly onEdges: (netmap: Netmap) => Promise<void>;
  readonly log: Log;
}

export class NetmapInForce {
  netmap: Netmap | undefined;
  wanted: Wanted | undefined;
  readonly arrived = new ArrivedNetmaps();
  /** Whether the netmap came from the disk or from an edge. */
  source: 'cache' | 'edge' = 'cache';
  /** The edge's name for the netmap. */
  id: string | undefined;
  readonly policy: PolicyEnforcer;
  readonly #options: NetmapInForceOptions;
  readonly #kernelKeeper: KernelKeeper;
  readonly #edgeWatch: EdgeWatch;
  readonly #translator = new NetmapTranslator();
  readonly #destinations: OwnDestinations;
  #needs = NO_NEEDS;
  readonly #pathWatch: PathWatch;
  readonly #writer: NetmapWriter;
  readonly #breakout: BreakoutChoice;
  /** By which interfaces this host reaches the Internet, if others may through it, and what else is there. */
  #exits: Exits = NO_EXITS;
  #strict = false;

  constructor(options: NetmapInForceOptions) {
    const { tunnel, kernel, endpoints, state, turns, answers, log } = options;
    this.#options = options;
    this.#breakout = new BreakoutChoice(options.breakout);
    const breakoutTable = breakoutTableName(tunnel.interfaceName);
    this.#destinations = new OwnDestinations(() => kernel.hasTable(breakoutTable));
    this.#writer = new NetmapWriter({ state, turns, current: () => this.#cached(), log });
    this.policy = new PolicyEnforcer({
      interfaceName: tunnel.interfaceName,
      ...{ answers, log },
      again: () => turns.take(async () => this.netmap && this.#change(this.netmap)),
    });
    this.#kernelKeeper = new KernelKeeper({
      ...{ kernel, now: Date.now, random: Math.random, log },
      onRetried: () => this.#kernelRetried(),
    });
    this.#pathWatch = new PathWatch({
      tunnel,
      mtu: options.mtu,
      act: () => turns.take(() => this.#followPaths()),
    });
    this.#edgeWatch = new EdgeWatch({
      tunnel,
      endpoints,
      edges: () => this.netmap?.edges ?? [],
      act: (edges) =>
        turns.take(async () => {
          await this.#useEndpoints();
          await rehandshake(tunnel, edges);
        }),
      log,
    });
  }

  /** Why the netmap in force is not on disk; undefined = it is, or will be in a moment. */
  get saveFault(): string | undefined {
    return this.#writer.fault;
  }

  /** Why not all of the netmap is installed in the kernel; undefined = it is. */
  get kernelFault(): string | undefined {
    return this.#kernelKeeper.fault;
  }

  /**
   * Comes up with the netmap on disk, or without any. What the kernel refuses ends the start.
   *
   * @param fresh the edge gave it just now
   */
  async open(cached: CachedNetmap | undefined, fresh: boolean): Promise<void> {
    this.#strict = await isReversePathStrict();
    const { tunnel, kernel, device } = this.#options;
    this.id = cached?.id;
    if (cached !== undefined) {
      await this.#start(cached.netmap, fresh, kernel);
      return;
    }
    await kernel.apply(this.#nothing());
    await tunnel.apply({ ...device, ...this.#destinations.follow(undefined), peers: [] });
  }

  /** Puts the edge's netmap in force in place of the one before. */
  async replace(received: Netmap, id: string): Promise<void> {
    const { endpoints, onEdges } = this.#options;
    const netmap = withPolicyInForce(received, this.netmap);
    if (JSON.stringify(netmap.edges) !== JSON.stringify(this.netmap?.edges)) {
      await endpoints.update(netmap.edges);
      await onEdges(netmap);
    }
    if (this.netmap === undefined) await this.#start(netmap, true, this.#kernelKeeper);
    else await this.#change(netmap);
    this.id = id;
    this.source = 'edge';
    this.#writer.saveSoon();
  }

  /** Ends all sessions and takes away what was installed, here and on disk. */
  async remove(): Promise<void> {
    const { tunnel } = this.#options;
    const none = this.#destinations.follow(undefined);
    await tunnel.apply({ replacePeers: true, relays: [], ...none, peers: [] });
    this.netmap = undefined;
    this.wanted = undefined;
    this.arrived.clear();
    await this.#kernelKeeper.apply(this.#nothing());
    await this.policy.apply(undefined);
    await this.#writer.remove();
  }

  /** Another program takes away again and again what the kernel is to have: a sentence. */
  get contention(): string | undefined {
    return this.#kernelKeeper.contention;
  }

  /**
   * Somebody else changed the kernel's set-up. With other routes or addresses of this host, how the
   * edges are reached, and where the Internet is, is asked anew as well.
   */
  async kernelChanged(parts: ReadonlySet<KernelPart>): Promise<void> {
    await this.#kernelKeeper.changed(parts);
    await this.#openExits();
    if (!parts.has('local') || this.netmap === undefined) return;
    const exits = JSON.stringify(this.#exits);
    await this.#findExits(this.netmap);
    if (exits !== JSON.stringify(this.#exits)) await this.#change(this.netmap);
    await this.refreshEndpoints();
  }

  /** Internet traffic leaves by others from now on. */
  async breakOut(wish: BreakoutWish): Promise<void> {
    this.#breakout.wish = wish;
    if (this.netmap !== undefined) await this.#change(this.netmap);
    else await this.#kernelKeeper.apply(this.#nothing());
  }

  /** Other gateways' questions are answered from now on, or not. */
  async answer(answers: boolean): Promise<void> {
    this.policy.answers = answers;
    if (this.netmap !== undefined) await this.#change(this.netmap);
  }

  /** Internet traffic leaves by nobody who is not heard from, and comes back to who is again. */
  followSilence(isSilent: (publicKey: string) => boolean): void {
    const { tunnel, turns, log } = this.#options;
    const follow = async (): Promise<void> => {
      if (this.netmap === undefined) return;
      const { changed, wake } = this.#breakout.look(this.netmap, isSilent);
      if (changed) await this.#change(this.netmap);
      await rehandshake(tunnel, wake);
    };
    turns.take(follow).catch((error: unknown) => {
      log.error({ err: error }, 'Internet traffic goes where it went');
    });
  }

  /** Names may have other addresses by now, or another address may be the one with a route. */
  async refreshEndpoints(): Promise<void> {
    if (this.netmap === undefined) return;
    await this.#options.endpoints.update(this.netmap.edges);
    await this.#useEndpoints();
  }

  /** What else this host is to have in its kernel from now on. */
  async useNeeds(needs: HostNeeds): Promise<void> {
    this.#needs = needs;
    const { netmap, wanted } = this;
    if (netmap === undefined || wanted === undefined) return;
    await this.#applyKernel(netmap, wanted);
  }

  /** The edges have lost their sessions with us. */
  async shakeEdges(): Promise<void> {
    const edges = this.netmap?.edges ?? [];
    this.#edgeWatch.expect(edges, Date.now());
    await rehandshake(this.#options.tunnel, edges);
  }

  /** The machine was asleep: whoever has a session with us may have ended it. */
  async renewSessions(): Promise<void> {
    const { edges = [], peers = [] } = this.netmap ?? {};
    this.#edgeWatch.expect(edges, Date.now());
    await rehandshake(this.#options.tunnel, [...edges, ...peers.filter(({ serving }) => serving)]);
  }

  /** The interface is gone, and with it what could be changed. */
  halt(): void {
    this.#kernelKeeper.close();
    this.#options.kernel.halt();
  }

  /** Ends what starts by itself, and writes what is not on disk yet; all stays installed. */
  async close(): Promise<void> {
    this.#kernelKeeper.close();
    this.#edgeWatch.close();
    this.#pathWatch.close();
    try {
      await this.policy.close();
    } finally {
      await this.#writer.close();
    }
  }

  /** Comes up: the edges first, and when one of them knows us, the peers behind them. */
  async #start(netmap: Netmap, fresh: boolean, kernel: Pick<MeshKernel, 'apply'>): Promise<void> {
    const { tunnel, endpoints, device, log } = this.#options;
    await endpoints.update(netmap.edges);
    await this.policy.apply(netmap);
    const wanted = this.#translate(netmap);
    this.arrived.note(netmap, wanted);
    await this.#findExits(netmap);
    const edges = { ...wanted, peers: new Map([...wanted.peers].slice(0, netmap.edges.length)) };
    await kernel.apply({ ...this.#kernelOf(netmap, wanted), prefixes: [] });
    await this.#applyInParts({
      ...device,
      ...changeBetween(undefined, edges)!,
      ...this.#destinations.follow(netmap.self),
    });
    this.#edgeWatch.expect(netmap.edges, Date.now());
    await Promise.all([
      firstHandshake(tunnel, log),
      this.#kernelKeeper.apply(this.#kernelOf(netmap, wanted)),
    ]);
    const rest = changeBetween(edges, wanted);
    if (rest !== undefined) await this.#applyInParts(rest);
    this.netmap = netmap;
    this.wanted = wanted;
    await this.#openExits();
    this.source = fresh ? 'edge' : 'cache';
    const { revision, peers } = netmap;
    const serving = peers.filter((peer) => peer.serving);
    if (!fresh) await rehandshake(tunnel, serving);
    log.info({ revision, peers: peers.length, source: this.source }, 'netmap in force');
  }

  /** From the netmap in force to this one; what did not change is not touched. */
  async #change(netmap: Netmap): Promise<void> {
    const { log } = this.#options;
    // Others send as soon as they know: what is looked up for the kernel is there when peers change.
    await Promise.all([this.policy.apply(netmap), this.#findExits(netmap)]);
    const wanted = this.#translate(netmap);
    this.arrived.note(netmap, wanted);
    const change = changeBetween(this.wanted, wanted);
    const destinations = this.#destinations.prepare(netmap.self);
    if (change !== undefined || destinations !== undefined) {
      await this.#applyInParts({ peers: [], ...change, ...destinations });
    }
    this.netmap = netmap;
    this.wanted = wanted;
    await this.#applyKernel(netmap, wanted);
    const { revision } = netmap;
    log.info({ revision, peers: change?.peers.length ?? 0 }, 'netmap changed');
  }

  async #applyKernel(netmap: Netmap, wanted: Wanted): Promise<void> {
    await this.#kernelKeeper.apply(this.#kernelOf(netmap, wanted));
    await this.#openExits();
  }

  #kernelRetried(): void {
    const { turns, log } = this.#options;
    turns
      .take(() => this.#openExits())
      .catch((error: unknown) => log.error({ err: error }, 'Internet traffic of others stays out'));
  }

  /**
   * Lets in what is for the Internet where the kernel has the rules for it, by which nothing passes with
   * a source that nobody could answer, and no longer.
   */
  async #openExits(): Promise<void> {
    if (this.netmap === undefined) return;
    const change = this.#destinations.follow(this.netmap.self);
    if (change !== undefined) await this.#applyInParts({ ...change, peers: [] });
  }

  async #applyInParts(change: DeviceChange): Promise<void> {
    for (const part of changeParts(change)) await this.#options.tunnel.apply(part);
  }

  /** Without the peers, as long as a policy is not in force that there should be. */
  #translate(netmap: Netmap): Wanted {
    const reached = this.policy.closed ? { ...netmap, peers: [] } : netmap;
    return this.#translator.translate(
      reached,
      (id) => this.#options.endpoints.of(id),
      this.#breakout,
    );
  }

  #kernelOf(netmap: Netmap, wanted: Wanted): WantedKernel {
    const { tunnel, endpoints } = this.#options;
    const { interfaceName } = tunnel;
    const { answers } = this.policy;
    const host = { interfaceName, answers, ...this.#exits, strict: this.#strict };
    return wantedKernel(netmap, wanted, endpoints, host, this.#needs, this.#pathWatch.mtus);
  }

  /** Without a netmap nobody takes the Internet traffic that others are to take. */
  #nothing(): WantedKernel {
    return { ...NOTHING, closed: closedFamilies(chooseBreakout(this.#breakout.wish, [])) };
  }

  async #findExits({ self }: Netmap): Promise<void> {
    const families = defaultFamilies(approvedPrefixes(self));
    this.#exits = families.length === 0 ? NO_EXITS : await readExits(families);
  }

  async #followPaths(): Promise<void> {
    if (this.netmap === undefined || this.wanted === undefined) return;
    await this.#applyKernel(this.netmap, this.wanted);
  }

  /** The edges' addresses in use may be others. */
  async #useEndpoints(): Promise<void> {
    if (this.netmap === undefined) return;
    if (changeBetween(this.wanted, this.#translate(this.netmap)) === undefined) return;
    await this.#change(this.netmap);
    this.#writer.saveSoon();
  }

  #cached(): CachedNetmap | undefined {
    const { netmap, id } = this;
    return netmap && { netmap, resolved: this.#options.endpoints.resolved, id };
  }
}
