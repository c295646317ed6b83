/**
 * A connector under the control plane: attached to an open tunnel, it brings the netmap's peers,
 * addresses and routes up, keeps them as the edge's stream says, and takes them away.
 *
 * Forwarding depends on none of what is asked of the edge here: the start takes the cached netmap, a
 * broken stream changes nothing, and a netmap that does not validate is refused. Only `gone` ends the
 * sessions: the edge said that this replica, or its connector, is deleted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Netmap, NetmapEdge } from '../../control/netmap.ts';
import { applyDelta } from '../../control/netmap-delta.ts';
import { CausewayError } from '../../errors.ts';
import { keyFromBase64, keyToBase64 } from '../../keys.ts';
import { loadAddon } from '../../native/addon.ts';
import { parsePrefix, prefixOf } from '../../routing/prefix.ts';
import { type RouteMonitor, watchMainRoutes } from '../../tun/route-monitor.ts';
import type { DeviceChange } from '../../wireguard/configuration.ts';
import type { Attachment } from '../daemon.ts';
import type { Log } from '../log.ts';
import type { Tunnel } from '../tunnel.ts';
import { Announcer } from './announcer.ts';
import { EdgeEndpoints } from './edge-endpoints.ts';
import { type EdgeEvent, EdgeStream, type StreamState } from './edge-stream.ts';
import { EdgeWatch } from './edge-watch.ts';
import { announce, type Enrolled, edgesOf, followEdge } from './enrolment.ts';
import { type Identity, saveIdentity } from './identity.ts';
import { KernelKeeper } from './kernel-keeper.ts';
import { MeshKernel, NOTHING, type WantedKernel } from './mesh-kernel.ts';
import { describeMesh } from './mesh-report.ts';
import type { MeshStatus } from './mesh-status.ts';
import { removeNetmap, saveNetmap } from './netmap-cache.ts';
import { changeBetween, translateNetmap, type Wanted } from './netmap-translation.ts';
import { LOOK_INTERVAL, SilenceWatch } from './silence.ts';
import type { StateDirectory } from './state-directory.ts';

/** The first handshake with the edge is waited for this long, so that peers are reached at once. */
const BIND_TIMEOUT_MS = 1_000;
const BIND_POLL_MS = 5;
/** Replicas that may still have a session with our predecessor, and are told that it is no more. */
const MOST_REHANDSHAKES = 64;
/** A netmap that keeps changing is written to disk at most so often. */
const SAVE_AFTER_MS = 500;

export interface MeshOptions {
  readonly enrolled: Enrolled;
  readonly state: StateDirectory;
  readonly mtu: number;
  readonly listenPort: number;
  /** Whether kernel settings may be changed so that packets are forwarded. */
  readonly forwarding: boolean;
  readonly version: string;
  readonly log: Log;
  readonly onWarning: (message: string) => void;
}

/** Brings the mesh up on an open tunnel; the attachment takes it all away. */
export async function joinMesh(
  tunnel: Tunnel,
  options: MeshOptions,
  signal: AbortSignal,
): Promise<MeshGateway> {
  const { mtu, forwarding, log } = options;
  const { interfaceName } = tunnel;
  const kernel = await MeshKernel.open({ interfaceName, mtu, forwarding, log });
  const mesh = new MeshGateway(tunnel, kernel, options);
  try {
    await mesh.open();
    signal.throwIfAborted();
  } catch (error) {
    await mesh.close();
    throw error;
  }
  return mesh;
}

export class MeshGateway implements Attachment {
  readonly tunnel: Tunnel;
  readonly kernel: MeshKernel;
  readonly options: MeshOptions;
  readonly endpoints: EdgeEndpoints;
  identity: Identity;
  netmap: Netmap | undefined;
  wanted: Wanted | undefined;
  /** Whether the netmap in force came from the disk or from an edge. */
  source: 'cache' | 'edge' = 'cache';
  readonly silence = new SilenceWatch();
  streamState: StreamState = { state: 'connecting', since: Date.now() };
  readonly since = Date.now();
  readonly #announcer: Announcer;
  readonly #edgeWatch: EdgeWatch;
  /** The edge's name for the netmap in force. */
  #netmapId: string | undefined;
  readonly #kernelKeeper: KernelKeeper;
  #stream: EdgeStream | undefined;
  #monitor: RouteMonitor | undefined;
  #saving: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  /** Where the identity on disk says that the edge is. */
  #savedEdge: Identity['edge'];
  /** The stream was open before. */
  #connected = false;
  /** Serializes what changes the tunnel, the kernel and the fields above. */
  #changing: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(tunnel: Tunnel, kernel: MeshKernel, options: MeshOptions) {
    this.tunnel = tunnel;
    this.kernel = kernel;
    this.options = options;
    this.identity = options.enrolled.identity;
    this.#savedEdge = this.identity.edge;
    this.#kernelKeeper = new KernelKeeper({ kernel, random: Math.random, log: options.log });
    this.endpoints = new EdgeEndpoints(options.enrolled.cached?.resolved);
    this.#edgeWatch = new EdgeWatch({
      tunnel,
      endpoints: this.endpoints,
      edges: () => this.netmap?.edges ?? [],
      act: (edges) =>
        this.#serially(async () => {
          if (this.netmap !== undefined) await this.#useEndpoints(this.netmap);
          await this.#rehandshake(edges);
        }),
      log: options.log,
    });
    this.#announcer = new Announcer(() => this.#serially(() => this.#announce()), options.log);
  }

  async open(): Promise<void> {
    const { enrolled, log, onWarning } = this.options;
    const { cached, fresh } = enrolled;
    this.#netmapId = cached?.id;
    if (cached !== undefined) await this.#start(cached.netmap, fresh);
    else {
      await this.kernel.apply(NOTHING);
      await this.tunnel.apply({ ...this.#deviceSettings(), peers: [] });
      onWarning('There is no netmap on disk: nothing is reached until an edge answers.');
    }
    this.#monitor = watchMainRoutes(loadAddon(), () => this.#networkChanged());
    this.#stream = new EdgeStream({
      client: enrolled.client,
      identity: this.identity,
      netmapId: () => this.#netmapId,
      onEvent: (event) => this.#serially(() => this.#take(event)),
      onState: (state) => this.#onStreamState(state),
      log,
    });
    this.#looking = setInterval(() => this.#look(), LOOK_INTERVAL).unref();
  }

  #look(): void {
    const { peers } = this.tunnel.snapshot();
    const counters = peers.map(({ publicKey, txBytes, rxBytes }) => {
      return { key: keyToBase64(publicKey), txBytes, rxBytes };
    });
    this.silence.look(counters, Date.now());
  }

  /** Netmaps and deltas that did not validate or could not be applied. */
  get refused(): number {
    return this.#stream?.refused ?? 0;
  }

  get kernelFault(): string | undefined {
    return this.#kernelKeeper.fault;
  }

  /** Why the edge does not know what is advertised. */
  get announceFault(): Announcer['fault'] {
    return this.#announcer.fault;
  }

  meshStatus(): Promise<MeshStatus> {
    return describeMesh(this);
  }

  /** Other prefixes, in canonical form; the edge learns of them now, or when it answers again. */
  async advertise(advertise: readonly string[], allowDefault: boolean): Promise<void> {
    await this.#serially(async () => {
      const told = { advertise: [...advertise], allowDefault, advertisePending: true };
      this.identity = { ...this.identity, ...told };
      await saveIdentity(this.options.state, this.identity);
    });
    this.#announcer.start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#monitor?.close();
    this.#kernelKeeper.close();
    clearInterval(this.#looking);
    this.#edgeWatch.close();
    this.#announcer.close();
    await this.#stream?.close();
    await this.#changing;
    if (this.#saving !== undefined) await this.#save();
    await this.kernel.remove();
  }

  async afterInterface(): Promise<void> {
    await this.options.state.close();
  }

  #serially(step: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(async () => {
      if (!this.#closed) await step();
    });
    this.#changing = done.catch(() => {});
    return done;
  }

  #deviceSettings(): Omit<DeviceChange, 'peers'> {
    const { enrolled, listenPort } = this.options;
    return { privateKey: enrolled.privateKey, listenPort, fwmark: this.kernel.mark };
  }

  /** Comes up: the edges first, and when one of them knows us, the peers behind them. */
  async #start(netmap: Netmap, fresh: boolean): Promise<void> {
    await this.endpoints.update(netmap.edges);
    const wanted = translateNetmap(netmap, (id) => this.endpoints.of(id));
    const edges = { ...wanted, peers: new Map([...wanted.peers].slice(0, netmap.edges.length)) };
    const bare = { ...this.#kernelOf(netmap, wanted), prefixes: [] };
    // What is refused at the daemon's start ends it; later it is tried again.
    await (this.#stream === undefined ? this.kernel : this.#kernelKeeper).apply(bare);
    await this.tunnel.apply({ ...this.#deviceSettings(), ...changeBetween(undefined, edges)! });
    this.#edgeWatch.expect(netmap.edges, Date.now());
    await Promise.all([this.#bound(), this.#kernelKeeper.apply(this.#kernelOf(netmap, wanted))]);
    const rest = changeBetween(edges, wanted);
    if (rest !== undefined) await this.tunnel.apply(rest);
    this.netmap = netmap;
    this.wanted = wanted;
    this.source = fresh ? 'edge' : 'cache';
    if (!fresh) await this.#rehandshake(netmap.peers.filter(({ serving }) => serving));
    const { revision, peers } = netmap;
    this.options.log.info(
      { revision, peers: peers.length, source: this.source },
      'netmap in force',
    );
  }

  /** Waits until an edge has answered our handshake; in vain if none can be reached. */
  async #bound(): Promise<void> {
    const deadline = performance.now() + BIND_TIMEOUT_MS;
    while (performance.now() < deadline) {
      if (this.tunnel.snapshot().peers.some(({ lastHandshake }) => lastHandshake > 0)) return;
      await delay(BIND_POLL_MS);
    }
    this.options.log.warn('no edge has answered yet');
  }

  async #take(event: EdgeEvent): Promise<void> {
    if (event.kind === 'gone') await this.#gone(event.gone.detail);
    else if (event.kind === 'netmap') await this.#apply(event.netmap, event.id);
    else await this.#apply(applyDelta(this.#base(), event.delta), event.id);
  }

  #base(): Netmap {
    if (this.netmap !== undefined) return this.netmap;
    throw new CausewayError(
      'NETMAP_INVALID',
      'The edge sent a change without the netmap before it.',
    );
  }

  async #apply(netmap: Netmap, id: string): Promise<void> {
    if (netmap.self.replica !== this.identity.replica) {
      const text = 'The edge sent the netmap of another replica: the one before stays in force.';
      throw new CausewayError('NETMAP_INVALID', text);
    }
    const first = this.netmap === undefined;
    const edgesChanged = JSON.stringify(netmap.edges) !== JSON.stringify(this.netmap?.edges);
    if (edgesChanged) {
      await this.endpoints.update(netmap.edges);
      this.identity = followEdge(this.identity, netmap);
      this.options.enrolled.client.useEdges(edgesOf(this.identity, netmap));
    }
    if (first) await this.#start(netmap, true);
    else await this.#change(netmap);
    this.#netmapId = id;
    this.source = 'edge';
    this.#saveSoon();
  }

  #saveSoon(): void {
    this.#saving ??= setTimeout(() => void this.#serially(() => this.#save()), SAVE_AFTER_MS);
  }

  /** From the netmap in force to this one; what did not change is not touched. */
  async #change(netmap: Netmap): Promise<void> {
    const wanted = translateNetmap(netmap, (id) => this.endpoints.of(id));
    const change = changeBetween(this.wanted, wanted);
    if (change !== undefined) await this.tunnel.apply(change);
    this.netmap = netmap;
    this.wanted = wanted;
    await this.#kernelKeeper.apply(this.#kernelOf(netmap, wanted));
    this.options.log.info(
      { revision: netmap.revision, peers: change?.peers.length ?? 0 },
      'netmap changed',
    );
  }

  #kernelOf(netmap: Netmap, { addresses, prefixes }: Wanted): WantedKernel {
    const outside = netmap.edges
      .flatMap(({ id }) => this.endpoints.of(id).all)
      .map(({ address }) => prefixOf(address, address.length * 8));
    const served = netmap.self.routes
      .filter(({ approved }) => approved)
      .map(({ prefix }) => parsePrefix(prefix)!);
    return { addresses, prefixes, outside, served };
  }

  /** This replica is no more: its sessions end now, its routes go, and it does not come back. */
  async #gone(reason: string): Promise<void> {
    const { log, state } = this.options;
    log.error({ reason }, 'the edge deleted this connector');
    await this.tunnel.apply({ replacePeers: true, relays: [], peers: [] });
    this.netmap = undefined;
    this.wanted = undefined;
    this.identity = { ...this.identity, gone: reason };
    clearTimeout(this.#saving);
    this.#saving = undefined;
    await saveIdentity(state, this.identity);
    await removeNetmap(state);
    await this.#kernelKeeper.apply(NOTHING);
  }

  #onStreamState(state: StreamState): void {
    this.streamState = state;
    if (state.state !== 'open') return;
    void this.#serially(async () => {
      await this.#refreshEndpoints();
      // An edge that was started anew has lost its session with us. At our own start there is none.
      if (this.#connected) await this.#shakeEdges(this.netmap?.edges ?? []);
      this.#connected = true;
    }).catch((error: unknown) => this.options.log.error({ err: error }, 'after reconnecting'));
    this.#announcer.start();
  }

  async #announce(): Promise<void> {
    const { enrolled, state } = this.options;
    if (!this.identity.advertisePending || this.identity.gone !== undefined) return;
    this.identity = await announce(state, enrolled.client, this.identity);
  }

  #networkChanged(): void {
    this.#stream?.networkChanged();
    void this.#serially(async () => {
      await this.#kernelKeeper.replan();
      await this.#refreshEndpoints();
    }).catch((error: unknown) => {
      this.options.log.error({ err: error }, "the edges' addresses could not be looked up anew");
    });
  }

  /** Names may have other addresses by now, or another address may be the one with a route. */
  async #refreshEndpoints(): Promise<void> {
    if (this.netmap === undefined) return;
    await this.endpoints.update(this.netmap.edges);
    await this.#useEndpoints(this.netmap);
  }

  /** The edges' addresses in use may be others: peers behind them are reached there as well. */
  async #useEndpoints(netmap: Netmap): Promise<void> {
    const wanted = translateNetmap(netmap, (id) => this.endpoints.of(id));
    if (changeBetween(this.wanted, wanted) === undefined) return;
    await this.#change(netmap);
    this.#saveSoon();
  }

  async #shakeEdges(edges: readonly NetmapEdge[]): Promise<void> {
    this.#edgeWatch.expect(edges, Date.now());
    await this.#rehandshake(edges);
  }

  async #rehandshake(peers: readonly { readonly publicKey: string }[]): Promise<void> {
    if (peers.length === 0) return;
    await this.tunnel.apply({
      peers: peers.slice(0, MOST_REHANDSHAKES).map(({ publicKey }) => {
        return { publicKey: keyFromBase64(publicKey)!, updateOnly: true, rehandshake: true };
      }),
    });
  }

  async #save(): Promise<void> {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    if (this.netmap === undefined) return;
    const { state, log } = this.options;
    const { resolved } = this.endpoints;
    try {
      await saveNetmap(state, { netmap: this.netmap, resolved, id: this.#netmapId });
      if (this.identity.edge !== this.#savedEdge) await saveIdentity(state, this.identity);
      this.#savedEdge = this.identity.edge;
    } catch (error) {
      log.error({ err: error }, 'the netmap could not be written');
    }
  }
}
