/**
 * A connector under the control plane: attached to an open tunnel, it has the netmap in force as the
 * edge's stream says, tells the edge what it advertises, and takes everything away at the end.
 *
 * Forwarding depends on none of what is asked of the edge here: the start takes the cached netmap, a
 * broken stream changes nothing, and a netmap that does not validate is refused. Only `gone` ends the
 * sessions: the edge said that this replica, or its connector, is deleted.
 */
import type { BreakoutWish } from '../../control/breakout.ts';
import type { Netmap } from '../../control/netmap.ts';
import { applyDelta } from '../../control/netmap-delta.ts';
import { CausewayError } from '../../errors.ts';
import { loadAddon } from '../../native/addon.ts';
import { KERNEL_PARTS, KernelMonitor, type KernelPart } from '../../tun/kernel-monitor.ts';
import { closeParts } from '../closing.ts';
import type { Attachment } from '../daemon.ts';
import type { Explanation } from '../explain/explanation.ts';
import { type FlowOptions, MeshFlows } from '../flows/mesh-flows.ts';
import type { Tunnel } from '../tunnel.ts';
import { interfaceIndexOf } from '../uapi/server.ts';
import { Announcer, tellAdvertised } from './announcer.ts';
import { AnsweredQuestions } from './answered-questions.ts';
import { EdgeEndpoints } from './edge-endpoints.ts';
import { type EdgeEvent, EdgeStream, type StreamState } from './edge-stream.ts';
import { edgesOf, followEdge, keptWish, tellEdge } from './enrolment.ts';
import { type Identity, saveIdentity } from './identity.ts';
import { KernelNotices } from './kernel-notices.ts';
import type { MeshKernel } from './mesh-kernel.ts';
import type { MeshOptions } from './mesh-options.ts';
import { describeMesh, reportMesh } from './mesh-report.ts';
import type { MeshStatus } from './mesh-status.ts';
import { summarizeMesh } from './mesh-summary.ts';
import type { MeshView } from './mesh-view.ts';
import { NetmapInForce } from './netmap-in-force.ts';
import { countersOf, LOOK_INTERVAL, SilenceWatch } from './silence.ts';
import { SleepWatch } from './sleep-watch.ts';
import { Turns } from './turns.ts';

/** Ms for a part to close. */
const PATIENCE = 3_000;

export class MeshGateway implements Attachment {
  readonly #tunnel: Tunnel;
  readonly #kernel: MeshKernel;
  readonly #options: MeshOptions;
  readonly #since = Date.now();
  readonly #endpoints: EdgeEndpoints;
  readonly #inForce: NetmapInForce;
  readonly #announcer: Announcer;
  readonly #questions: AnsweredQuestions;
  readonly #silence = new SilenceWatch();
  readonly #flows: MeshFlows;
  /** For what changes the tunnel, the kernel, the netmap in force and the identity. */
  readonly #turns = new Turns();
  readonly #notices = new KernelNotices(this.#turns, async (parts) => {
    await this.#inForce.kernelChanged(parts);
    // IPv6 may have been switched on, or off.
    this.#questions.listen();
  });
  #identity: Identity;
  #streamState: StreamState = { state: 'connecting', since: Date.now() };
  #stream: EdgeStream | undefined;
  #monitor: KernelMonitor | undefined;
  #looking: NodeJS.Timeout | undefined;
  #sleepWatch: SleepWatch | undefined;
  readonly #dependents: { close(): Promise<void> }[] = [];
  /** The stream was open before. */
  #connected = false;

  constructor(tunnel: Tunnel, kernel: MeshKernel, options: MeshOptions) {
    const { enrolled, state, listenPort, log } = options;
    this.#tunnel = tunnel;
    this.#kernel = kernel;
    this.#options = options;
    this.#identity = enrolled.identity;
    this.#endpoints = new EdgeEndpoints(enrolled.cached?.resolved);
    this.#inForce = new NetmapInForce({
      tunnel,
      kernel,
      endpoints: this.#endpoints,
      state,
      mtu: options.mtu,
      device: {
        ...{ privateKey: enrolled.privateKey, listenPort, dontFragment: true },
        // It may become another (kernel-reconciler.ts).
        get fwmark() {
          return kernel.mark;
        },
      },
      turns: this.#turns,
      breakout: options.breakout,
      answers: options.diagnosis,
      onEdges: (netmap) => this.#followEdges(netmap),
      log,
    });
    this.#announcer = new Announcer((signal) => this.#announce(signal), log);
    this.#questions = new AnsweredQuestions({
      ...{ answers: options.diagnosis, inForce: this.#inForce, kernel, turns: this.#turns },
      view: () => this.#view(),
      log,
    });
    this.#flows = new MeshFlows({
      tunnel,
      inForce: this.#inForce,
      silence: this.#silence,
      inTurn: (step) => this.#turns.take(step),
      tellEdge: (faults, signal) =>
        enrolled.client.tellFaults(this.#identity.credential, faults, signal),
      log,
    });
  }

  async open(): Promise<void> {
    const { enrolled, log, onWarning } = this.#options;
    const { interfaceName } = this.#tunnel;
    void this.#tunnel.closed.then(() => this.#halt());
    // Before anything is read: what changes while we start is not missed.
    this.#monitor = new KernelMonitor({
      addon: loadAddon(),
      interfaceName,
      interfaceIndex: interfaceIndexOf(interfaceName),
      table: () => this.#kernel.table,
      ownPort: this.#kernel.port,
      all: true,
      onChange: (parts) => this.#kernelChanged(parts),
    });
    // A turn too: what fails meanwhile and is tried again finds the netmap in force.
    await this.#turns.take(() => this.#inForce.open(enrolled.cached, enrolled.fresh));
    this.#questions.listen();
    for (const warning of this.#kernel.warnings) onWarning(warning);
    if (enrolled.cached === undefined) {
      onWarning('There is no netmap on disk: nothing is reached until an edge answers.');
    }
    this.#stream = new EdgeStream({
      client: enrolled.client,
      identity: this.#identity,
      netmapId: () => this.#inForce.id,
      onEvent: (event) => this.#turns.take(() => this.#take(event)),
      onState: (state) => this.#onStreamState(state),
      log,
    });
    this.#sleepWatch = new SleepWatch((asleep) => this.#wokeUp(asleep));
    this.#looking = setInterval(() => {
      this.#silence.look(countersOf(this.#tunnel.snapshot().peers), Date.now());
      this.#flows.silenceLooked();
      this.#inForce.followSilence((key) => this.#silence.since(key) !== undefined);
    }, LOOK_INTERVAL).unref();
    void this.useFlows(this.#options.flows);
  }

  /** Flow log and one-way detector as these settings say, from now on. */
  useFlows(flows: FlowOptions): Promise<void> {
    return this.#flows.use(flows);
  }

  async meshStatus(): Promise<MeshStatus> {
    await this.#inForce.policy.look();
    return describeMesh(this.#view());
  }

  /** The status, but for what is wrong: for those who ask all the time. */
  async report(): Promise<MeshStatus> {
    await this.#inForce.policy.look();
    return reportMesh(this.#view());
  }

  /** What is wrong. */
  async examined(): Promise<Pick<MeshStatus, 'findings' | 'problems'>> {
    return describeMesh(this.#view());
  }

  async explain(question: unknown): Promise<Explanation> {
    const { explainFlow } = await import('../explain/explain-flow.ts');
    return explainFlow(() => this.#view(), question);
  }

  peerNames(): ReadonlyMap<string, string> {
    const { peers = [], edges = [] } = this.#inForce.netmap ?? {};
    return new Map([...peers, ...edges].map(({ publicKey, name }) => [publicKey, name]));
  }

  /** One line for people. */
  summary(): string {
    return summarizeMesh(this.#view());
  }

  /** Other prefixes, in canonical form; the edge learns of them now, or when it answers again. */
  async advertise(advertise: readonly string[], allowDefault: boolean): Promise<void> {
    await this.#turns.take(async () => {
      const told = { advertise: [...advertise], allowDefault, advertisePending: true };
      this.#identity = { ...this.#identity, ...told };
      await saveIdentity(this.#options.state, this.#identity);
    });
    this.#announcer.start();
  }

  /** Internet traffic leaves by others from now on; the edge is told as of prefixes. */
  async breakOut(wish: BreakoutWish): Promise<void> {
    await this.#turns.take(async () => {
      const { breakout: _, ...rest } = this.#identity;
      this.#identity = { ...rest, ...keptWish(wish), advertisePending: true };
      await saveIdentity(this.#options.state, this.#identity);
      await this.#inForce.breakOut(wish);
    });
    this.#announcer.start();
  }

  /** Other gateways' questions are answered from now on, or not. */
  async answer(answers: boolean): Promise<void> {
    await this.#turns.take(() => this.#questions.answer(answers));
  }

  /** To be closed before the gateway is: it asks the gateway things. */
  closeFirst(part: { close(): Promise<void> }): void {
    this.#dependents.push(part);
  }

  /** Never rejects: what fails is in the log, and the rest is closed all the same. */
  async close(): Promise<void> {
    clearInterval(this.#looking);
    const parts: [what: string, part: { close(): void | Promise<void> } | undefined][] = [
      ...this.#dependents.map((part) => ['dependent', part] as [string, typeof part]),
      ['announcer', this.#announcer],
      ['diagnosis', this.#questions],
      ['flows', this.#flows],
      ['kernel', { close: () => this.#halt() }],
      ['turns', this.#turns],
      ['sleep watch', this.#sleepWatch],
      ['netmap stream', this.#stream],
      ['netmap in force', this.#inForce],
    ];
    const named = parts.map(([what, part]) => {
      return { what, close: () => part?.close(), timeoutMs: PATIENCE };
    });
    await closeParts(named, this.#options.log);
  }

  /** Not before: as long as packets can pass, the policy's rules stay. */
  async afterInterface(): Promise<void> {
    try {
      await this.#kernel.remove();
    } finally {
      await this.#options.state.close();
    }
  }

  #view(): MeshView {
    const { version, mtu, enrolled, reloadFault } = this.#options;
    return {
      since: this.#since,
      version,
      mtu,
      identity: this.#identity,
      snapshot: this.#tunnel.snapshot(),
      inForce: this.#inForce,
      policy: this.#inForce.policy,
      endpoints: this.#endpoints,
      kernel: this.#kernel,
      streamState: this.#streamState,
      refused: this.#stream?.refused ?? 0,
      twins: this.#stream?.twins(Date.now()),
      stateDirectory: this.#options.state.path,
      clockOffset: enrolled.client.clockOffset,
      announceFault: this.#announcer.fault,
      reloadFault: reloadFault(),
      silence: this.#silence,
      diagnosis: this.#questions.listener,
      flows: this.#flows,
    };
  }

  async #take(event: EdgeEvent): Promise<void> {
    if (event.kind === 'gone') {
      await this.#gone(event.gone.detail);
      return;
    }
    const netmap = event.kind === 'netmap' ? event.netmap : applyDelta(this.#base(), event.delta);
    if (netmap.self.replica !== this.#identity.replica) {
      const text = 'The edge sent the netmap of another replica: the one before stays in force.';
      throw new CausewayError('NETMAP_INVALID', text);
    }
    await this.#inForce.replace(netmap, event.id);
    this.#questions.listen();
  }

  #base(): Netmap {
    if (this.#inForce.netmap !== undefined) return this.#inForce.netmap;
    throw new CausewayError(
      'NETMAP_INVALID',
      'The edge sent a change without the netmap before it.',
    );
  }

  /** The edges are asked where the netmap says, and the one that enrolled us is found again by it. */
  async #followEdges(netmap: Netmap): Promise<void> {
    const { enrolled, state, log } = this.#options;
    const before = this.#identity;
    this.#identity = followEdge(before, netmap);
    enrolled.client.useEdges(edgesOf(this.#identity, netmap));
    if (this.#identity === before) return;
    try {
      await saveIdentity(state, this.#identity);
    } catch (error) {
      log.error({ err: error }, "the edge's other address could not be written");
    }
  }

  /** This replica is no more: its sessions end now, its routes go, and it does not come back. */
  async #gone(reason: string): Promise<void> {
    const { log, state } = this.#options;
    log.error({ reason }, 'the edge deleted this connector');
    this.#identity = { ...this.#identity, gone: reason };
    await this.#inForce.remove();
    this.#questions.listen();
    await saveIdentity(state, this.#identity);
  }

  #onStreamState(state: StreamState): void {
    this.#streamState = state;
    if (state.state !== 'open') return;
    void this.#turns
      .take(async () => {
        await this.#inForce.refreshEndpoints();
        // An edge that was started anew has lost its session with us. At our own start there is none.
        if (this.#connected) await this.#inForce.shakeEdges();
        this.#connected = true;
      })
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'after reconnecting'));
    this.#announcer.start();
    this.#flows.connected();
  }

  async #announce(signal: AbortSignal): Promise<void> {
    const { enrolled, state } = this.#options;
    const advertised = {
      identity: () => this.#identity,
      ask: (identity: Identity) => tellEdge(enrolled.client, identity, signal),
      keep: async (identity: Identity) => {
        this.#identity = identity;
        await saveIdentity(state, identity);
      },
      turns: this.#turns,
    };
    await tellAdvertised(advertised, signal);
  }

  /** Sessions and the edge's stream are renewed at once; the host's network may be another one. */
  #wokeUp(asleep: number): void {
    const { log } = this.#options;
    log.info({ seconds: Math.round(asleep / 1_000) }, 'this machine was asleep');
    this.#stream?.wokeUp();
    void this.#turns
      .take(async () => {
        await this.#inForce.kernelChanged(new Set(KERNEL_PARTS));
        await this.#inForce.renewSessions();
      })
      .catch((error: unknown) => log.error({ err: error }, 'after waking up'));
  }

  /** Nothing follows from what happens now: the interface is gone, or goes. */
  #halt(): void {
    void this.#turns.close();
    this.#monitor?.close();
    this.#monitor = undefined;
    this.#inForce.halt();
  }

  #kernelChanged(parts: ReadonlySet<KernelPart>): void {
    if (parts.has('local')) this.#stream?.networkChanged();
    this.#notices.add(parts).catch((error: unknown) => {
      const text = "the edges' addresses could not be looked up anew";
      this.#options.log.error({ err: error }, text);
    });
  }
}
