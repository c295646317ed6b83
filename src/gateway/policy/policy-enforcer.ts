/**
 * Keeps the kernel's rules as the netmap's policy says, and tells what they denied.
 *
 * A policy that cannot be put in place fails closed: as long as no earlier one is in force, `closed` says
 * that nothing may pass. An earlier one stays until the new one takes its place, and `fault` says so.
 */
import { laterVersion } from '../../control/later-policy.ts';
import type { MeshAddresses, Netmap } from '../../control/netmap.ts';
import { bytesOf, numericAddress } from '../../control/policy/address-set.ts';
import { compilePolicy, ownersOfNetmap, type RuleSet } from '../../control/policy/compile.ts';
import { type Explanation, type Flow, PolicyEvaluator } from '../../control/policy/evaluate.ts';
import { formatProtocol } from '../../control/policy/services.ts';
import { formatAddress } from '../../routing/address.ts';
import type { Log } from '../log.ts';
import { noteSetup } from '../setup-state.ts';
import { encodeRuleset } from './policy-ruleset.ts';
import {
  installPolicy,
  NO_COUNTS,
  type NotedFlow,
  type PolicyCounters,
  readCounters,
  readNotedFlows,
  removePolicy,
} from './policy-table.ts';

/** ms between two looks at what was denied, and at whether the rules are still there. */
const LOOK_INTERVAL_MS = 1_000;
/** Until what the kernel, or `nft`, refused is tried again. */
const RETRY_AFTER_MS = 5_000;
/** Flows logged in one look: a sample, if there are more. */
const MAX_LOGGED = 50;
/** The same for who asks to be told of those denied. */
const MAX_TOLD = 1_000;
/** Denied flows that `status` shows. */
const MAX_RECENT = 20;

export interface DeniedFlow {
  /** Unix time in ms at which it was seen. */
  readonly at: number;
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly port: number | undefined;
  readonly packets: number;
  /** Undefined = the default denied it. */
  readonly rule: number | undefined;
}

export interface PolicyState {
  readonly version: number;
  readonly default: 'allow' | 'deny';
  /** Of the rules of the policy, those that concern this connector. */
  readonly rules: number;
  readonly counters: PolicyCounters;
  /** The last first. */
  readonly recent: readonly DeniedFlow[];
}

interface InForce {
  readonly rules: RuleSet;
  readonly evaluator: PolicyEvaluator;
  readonly meshRanges: MeshAddresses;
  readonly mesh: MeshAddresses;
}

export interface EnforcerOptions {
  readonly interfaceName: string;
  readonly answers: boolean;
  readonly log: Log;
  /** Asked for another `apply` some time after one has failed. */
  readonly again: () => Promise<unknown>;
}

export class PolicyEnforcer {
  /** Whether other gateways' questions are answered here; in force with the next `apply`. */
  answers: boolean;
  /** Told of each denied flow, once. */
  onDenied: ((flow: DeniedFlow) => void) | undefined;
  readonly #interfaceName: string;
  readonly #log: Log;
  readonly #again: () => Promise<unknown>;
  #inForce: InForce | undefined;
  /** Of the table, for `nft`; empty = there is none. */
  #text = '';
  #fault: string | undefined;
  #closed = false;
  /** Of tables that were replaced. */
  #before = NO_COUNTS;
  #counters = NO_COUNTS;
  /** Flows of the last look. */
  #noted = new Set<string>();
  #recent: DeniedFlow[] = [];
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** From then on a table that is not there is none that somebody took away. */
  #ended = false;
  /** Serializes what runs `nft`. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ interfaceName, answers, log, again }: EnforcerOptions) {
    this.answers = answers;
    this.#interfaceName = interfaceName;
    this.#log = log;
    this.#again = again;
  }

  /** Nothing may pass: there is a policy, and no rules are in force. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Why the policy is not in force as it is; undefined = it is. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Undefined: there is no policy, or none in force. */
  get state(): PolicyState | undefined {
    if (this.#inForce === undefined) return undefined;
    const { version, default: verdict, rules } = this.#inForce.rules;
    return {
      version,
      default: verdict,
      rules: rules.length,
      counters: sum(this.#before, this.#counters),
      recent: this.#recent,
    };
  }

  /** What the policy in force says of a flow; undefined where no rules are in force. */
  explain(flow: Flow): Explanation | undefined {
    return this.#inForce?.evaluator.explain(flow);
  }

  /** Puts a netmap's policy in place, or takes the one before away; quiet if nothing changes. */
  apply(netmap: Netmap | undefined): Promise<void> {
    return this.#inTurn(async () => {
      clearTimeout(this.#retry);
      const wanted = netmap?.policy && compiled(netmap);
      const later = netmap?.laterPolicy;
      try {
        if (later !== undefined) await this.#keepBefore(later, wanted);
        else if (wanted === undefined) await this.#remove();
        else await this.#install(wanted);
        if (later !== undefined) return;
        this.#fault = undefined;
        this.#closed = false;
      } catch (error) {
        const isThere = wanted !== undefined || later !== undefined;
        this.#closed = isThere && this.#inForce === undefined;
        this.#fault = `${(error as Error).message} It needs nftables 1.0 or later: \`nft --version\`.`;
        this.#log.error({ err: error, closed: this.#closed }, 'the policy could not be enforced');
        this.#retry = setTimeout(() => this.#tryAgain(), RETRY_AFTER_MS).unref();
      }
    });
  }

  /** Reads the counters, and logs what was denied since. */
  look(): Promise<void> {
    return this.#inTurn(() => this.#look()).catch((error: unknown) => {
      this.#log.warn({ err: error }, "the policy's counters could not be read");
    });
  }

  /** The table itself goes with all that the interface added (setup-state.ts). */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    this.#ended = true;
    await this.#turn;
  }

  #tryAgain(): void {
    this.#again().catch((error: unknown) => this.#log.error({ err: error }, 'tried in vain'));
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(step);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #install(wanted: InForce): Promise<void> {
    const { meshRanges, mesh } = wanted;
    const { answers } = this;
    const text = encodeRuleset(this.#interfaceName, wanted.rules, { meshRanges, mesh, answers });
    if (text !== this.#text) {
      await noteSetup(this.#interfaceName, { firewall: true });
      if (this.#text !== '') await this.#look();
      await installPolicy(this.#interfaceName, text);
      this.#countAnew();
      this.#text = text;
      const { version, rules, default: verdict } = wanted.rules;
      this.#log.info({ version, rules: rules.length, default: verdict }, 'policy in force');
    }
    this.#inForce = wanted;
    this.#timer ??= setInterval(() => void this.look(), LOOK_INTERVAL_MS).unref();
  }

  /** What is not understood may deny anything: without an earlier policy in force nothing passes. */
  async #keepBefore(later: unknown, before: InForce | undefined): Promise<void> {
    if (before !== undefined) await this.#install(before);
    const version = laterVersion(later);
    const text = `Version ${version} says what this build does not know: upgrade this gateway.`;
    if (this.#fault !== text) this.#log.error({ version }, 'the policy is of a later build');
    this.#fault = text;
    this.#closed = this.#inForce === undefined;
  }

  #countAnew(): void {
    this.#before = sum(this.#before, this.#counters);
    this.#counters = NO_COUNTS;
    this.#noted.clear();
  }

  /** Somebody took the table away, as a firewall does that is loaded anew after flushing everything. */
  async #restore(): Promise<void> {
    this.#log.error('the rules of the policy were removed by another program: they are put back');
    this.#countAnew();
    try {
      await installPolicy(this.#interfaceName, this.#text);
    } catch (error) {
      this.#inForce = undefined;
      this.#text = '';
      this.#closed = true;
      this.#fault = (error as Error).message;
      this.#tryAgain();
      throw error;
    }
  }

  async #remove(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#inForce = undefined;
    if (this.#text === '') return;
    await removePolicy(this.#interfaceName);
    this.#text = '';
    this.#log.info('there is no policy any more');
  }

  async #look(): Promise<void> {
    if (this.#text === '' || this.#ended) return;
    const counters = await readCounters(this.#interfaceName);
    if (counters === undefined) return this.#restore();
    const { denied, logged } = this.#counters;
    const news = counters.denied > denied || counters.logged > logged;
    this.#counters = counters;
    if (!news || this.#inForce === undefined) return;
    const flows = await readNotedFlows(this.#interfaceName);
    const before = this.#noted;
    this.#noted = new Set(flows.map(keyOf));
    const fresh = flows.filter((flow) => !before.has(keyOf(flow)));
    const { evaluator } = this.#inForce;
    const told = this.onDenied === undefined ? MAX_LOGGED : MAX_TOLD;
    for (const [i, flow] of fresh.slice(0, told).entries()) {
      this.#tell(flow, evaluator, i < MAX_LOGGED);
    }
    if (fresh.length > MAX_LOGGED) {
      this.#log.info({ flows: fresh.length - MAX_LOGGED }, 'more flows met the policy');
    }
  }

  #tell(flow: NotedFlow, evaluator: PolicyEvaluator, log: boolean): void {
    const source = numericAddress(flow.source)!;
    const destination = numericAddress(flow.destination)!;
    const { protocol, port, packets } = flow;
    const { verdict, rule, logged } = evaluator.explain({ source, destination, protocol, port });
    const told = {
      source: formatAddress(bytesOf(source)),
      destination: formatAddress(bytesOf(destination)),
      protocol: formatProtocol(protocol),
      port,
      packets,
    };
    if (verdict === 'deny') {
      const denied = { ...told, at: Date.now(), rule };
      this.onDenied?.(denied);
      if (!log) return;
      this.#log.info({ ...told, rule: rule ?? 'default' }, 'denied by the policy');
      this.#recent = [denied, ...this.#recent].slice(0, MAX_RECENT);
    } else if (logged.length > 0 && log) {
      this.#log.info({ ...told, rules: logged }, 'logged by the policy');
    }
  }
}

/** Undefined: what concerns this connector allows everything. */
function compiled(netmap: Netmap): InForce | undefined {
  const owners = ownersOfNetmap(netmap);
  const rules = compilePolicy(netmap.policy!, owners, netmap.self.connector);
  const open = rules.default === 'allow' && rules.rules.every(({ action }) => action === 'allow');
  if (open) return undefined;
  const evaluator = new PolicyEvaluator(netmap.policy!, owners);
  const { meshRanges, mesh } = netmap.self;
  return { rules, evaluator, meshRanges, mesh };
}

function keyOf({ source, destination, protocol, port }: NotedFlow): string {
  return `${source} ${destination} ${protocol} ${port}`;
}

function sum(a: PolicyCounters, b: PolicyCounters): PolicyCounters {
  return {
    denied: a.denied + b.denied,
    invalid: a.invalid + b.invalid,
    untracked: a.untracked + b.untracked,
    logged: a.logged + b.logged,
    diagnosis: a.diagnosis + b.diagnosis,
  };
}
