/**
 * The flow log and the one-way detector of a gateway: as the settings say, what `status` shows of them,
 * and what the edge is told of traffic that goes one way. Nothing else of the gateway waits for it.
 */
import { join } from 'node:path';
import { MAX_FAULT_LENGTH, MAX_FAULTS, type TrafficFault } from '../../control/api.ts';
import { keyToBase64 } from '../../keys.ts';
import { loadAddon } from '../../native/addon.ts';
import type { Log } from '../log.ts';
import { Announcer } from '../mesh/announcer.ts';
import type { NetmapInForce } from '../mesh/netmap-in-force.ts';
import type { SilenceWatch } from '../mesh/silence.ts';
import { Turns } from '../mesh/turns.ts';
import { runtimeDirectory } from '../runtime-directory.ts';
import type { Tunnel } from '../tunnel.ts';
import { isoTime } from './flow-entry.ts';
import { gapLine } from './flow-log.ts';
import { describeFinding, type FlowLogState, lookForNeighbours } from './flow-problems.ts';
import { FlowWatch } from './flow-watch.ts';
import { LineFile } from './line-file.ts';
import { LineSyslog } from './line-syslog.ts';
import type { LineTarget } from './line-target.ts';
import type { Finding } from './one-way.ts';

export const SYSLOG = 'syslog';
/** As the edge is told. */
const NO_FAULTS = '[]';

export interface FlowOptions {
  /** A path, or SYSLOG; undefined = no flow log. */
  readonly flowLog?: string | undefined;
  /** MiB of one file. */
  readonly flowLogSize: number;
  /** Full ones that are kept. */
  readonly flowLogFiles: number;
  readonly oneWayDetector: boolean;
}

export interface MeshFlowsOptions {
  readonly tunnel: Tunnel;
  readonly inForce: NetmapInForce;
  readonly silence: Pick<SilenceWatch, 'since'>;
  /** Has the kernel changed in the gateway's turn. */
  readonly inTurn: (step: () => Promise<void>) => Promise<void>;
  readonly tellEdge: (faults: readonly TrafficFault[], signal: AbortSignal) => Promise<void>;
  readonly log: Log;
}

/** What goes one way, in words for `status`. */
export interface OneWay {
  readonly prefix: string;
  readonly connector: string;
  readonly direction: 'out' | 'in';
  readonly about: 'peer' | 'prefix';
  /** ISO 8601 */
  readonly since: string;
  readonly flows: number;
  readonly hosts: number;
}

export interface FlowState {
  readonly log: FlowLogState | null;
  /** Why connections cannot be followed. */
  readonly fault: string | null;
  readonly oneWay: readonly OneWay[];
}

export class MeshFlows {
  readonly #options: MeshFlowsOptions;
  readonly #watch: FlowWatch;
  readonly #reporter: Announcer;
  readonly #turns = new Turns();
  #settings: FlowOptions | undefined;
  /** What the edge knows. */
  #told: string = NO_FAULTS;

  constructor(options: MeshFlowsOptions) {
    const { tunnel, inForce, inTurn, log } = options;
    this.#options = options;
    this.#watch = new FlowWatch({
      interfaceName: tunnel.interfaceName,
      addon: loadAddon(),
      arrived: () => inForce.arrived.latest,
      heard: (publicKey) => this.#heard(publicKey),
      need: (needs) => inTurn(() => inForce.useNeeds(needs)),
      scratch: join(runtimeDirectory(), `${tunnel.interfaceName}-tracking.nft`),
      onFindings: () => this.#onFindings(),
      log,
    });
    inForce.arrived.onArrived = () => this.#watch.netmapArrived();
    const what = 'what goes one way';
    this.#reporter = new Announcer((signal) => this.#report(signal), log, what);
  }

  /** From now on as the settings say. Does not throw: what cannot be is a problem that `status` says. */
  async use(settings: FlowOptions): Promise<void> {
    const { inForce } = this.#options;
    await this.#turns.take(async () => {
      this.#settings = settings;
      const { flowLog, oneWayDetector: detect } = settings;
      const target = flowLog === undefined ? undefined : () => this.#open(settings, flowLog);
      await this.#watch.apply({ detect, target });
      inForce.policy.onDenied =
        target === undefined ? undefined : (denied) => this.#watch.handleDenied(denied);
    });
  }

  /** The edge has forgotten what it was told: its stream to us is a new one. */
  connected(): void {
    this.#told = NO_FAULTS;
    this.#reporter.start();
  }

  /** Whether peers are silent was looked at again. */
  silenceLooked(): void {
    this.#reporter.start();
  }

  get state(): FlowState {
    const { log, lost, fault = null, findings } = this.#watch;
    const oneWay = findings.map(({ prefix, connector, direction, about, since, flows, hosts }) => {
      return { prefix, connector, direction, about, since: isoTime(since), flows, hosts };
    });
    const target = this.#settings?.flowLog;
    if (log === undefined || target === undefined) return { log: null, fault, oneWay };
    const { written, dropped, fault: lineFault = null } = log.target;
    return { log: { target, written, dropped, lost, fault: lineFault }, fault, oneWay };
  }

  /** A sentence for each finding. */
  describe(): Promise<string[]> {
    return describeAll(this.#watch.findings);
  }

  async close(): Promise<void> {
    this.#reporter.close();
    try {
      await this.#turns.close();
    } finally {
      this.#options.inForce.policy.onDenied = undefined;
      await this.#watch.close();
    }
  }

  #open({ flowLogSize, flowLogFiles }: FlowOptions, path: string): LineTarget {
    const { log } = this.#options;
    const onFault = (fault: string | undefined): void => {
      if (fault !== undefined) log.error({ target: path, fault }, 'the flow log cannot be written');
      else log.info({ target: path }, 'the flow log is written again');
    };
    log.info({ target: path }, 'flow log');
    if (path === SYSLOG) return new LineSyslog({ addon: loadAddon(), onFault });
    return new LineFile(path, {
      maxSize: flowLogSize << 20,
      maxFiles: flowLogFiles,
      gap: (records, reason) => gapLine(records, reason, Date.now()),
      onFault,
    });
  }

  #heard(publicKey: string): number {
    const peer = this.#options.tunnel
      .snapshot()
      .peers.find((one) => keyToBase64(one.publicKey) === publicKey);
    return peer?.rxBytes ?? 0;
  }

  #onFindings(): void {
    const { log } = this.#options;
    for (const text of this.#watch.findings.map((finding) => describeFinding(finding, 'unknown'))) {
      log.warn(text);
    }
    if (this.#watch.findings.length === 0) log.info('no traffic goes one way any more');
    this.#reporter.start();
  }

  /** Tells the edge what it does not know; again when that has changed meanwhile. */
  async #report(signal: AbortSignal): Promise<void> {
    for (;;) {
      const faults = await this.#faults();
      const text = JSON.stringify(
        faults.map(({ about, connector, subject }) => [about, connector, subject]),
      );
      if (text === this.#told || signal.aborted) return;
      await this.#options.tellEdge(faults, signal);
      this.#told = text;
    }
  }

  async #faults(): Promise<TrafficFault[]> {
    const { inForce, silence } = this.#options;
    const peers = inForce.netmap?.peers ?? [];
    const idOf = (key: string): TrafficFault['connector'] =>
      peers.find(({ publicKey }) => publicKey === key)?.connector ?? null;
    const silent = peers.flatMap(({ publicKey, connector, name }): TrafficFault[] => {
      const since = silence.since(publicKey);
      if (since === undefined) return [];
      const why = `Nothing was heard from ${name} since ${isoTime(since)}, although there is traffic for it`;
      return [{ about: 'peer', connector, subject: name, why }];
    });
    const told = new Set<string | null>(silent.map(({ connector }) => connector));
    const findings = this.#watch.findings;
    const sentences = await describeAll(findings);
    const found = findings.flatMap((finding, i): TrafficFault[] => {
      const { direction, about, publicKey, prefix } = finding;
      const connector = direction === 'in' ? null : idOf(publicKey);
      if (about === 'peer' && told.has(connector)) return [];
      const why = (sentences[i] ?? '').slice(0, MAX_FAULT_LENGTH);
      return [{ about: direction === 'in' ? 'site' : about, connector, subject: prefix, why }];
    });
    return [...found, ...silent].slice(0, MAX_FAULTS);
  }
}

function describeAll(findings: readonly Finding[]): Promise<string[]> {
  return Promise.all(
    findings.map(async (finding) => {
      const ours = finding.direction === 'in';
      return describeFinding(finding, ours ? await lookForNeighbours(finding) : 'unknown');
    }),
  );
}
