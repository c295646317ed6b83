/**
 * SIGHUP: what of the configuration file is different now is applied while packets flow. A file with
 * a mistake changes nothing, which `status` says until a reload succeeds, and what only a start can
 * change is said.
 */
import type { BreakoutWish } from '../../control/breakout.ts';
import { type Log, parseLogLevel } from '../log.ts';
import { checkListenAddress, type MetricsEndpoint } from '../metrics/metrics-endpoint.ts';
import { checkPrefix } from './advertised-prefixes.ts';
import { breakoutWish } from './breakout-setting.ts';
import type { MeshGateway } from './mesh-daemon.ts';
import type { GatewaySettings } from './settings.ts';
import { Turns } from './turns.ts';

/** Of the flow log and the one-way detector. */
const FLOWS: readonly (keyof GatewaySettings)[] = [
  'flowLog',
  'flowLogSize',
  'flowLogFiles',
  'oneWayDetector',
];
const BREAKOUT = ['breakout', 'breakoutFamily', 'breakoutFallback'] as const;
/** What a running gateway takes; the token is asked for at a start only. */
const LIVE: readonly (keyof GatewaySettings)[] = [
  ...BREAKOUT,
  'advertise',
  'allowDefault',
  'diagnosis',
  'metrics',
  'logLevel',
  ...FLOWS,
];
const ONCE: readonly (keyof GatewaySettings)[] = ['token', 'tokenFile'];

export interface ReloadOptions {
  readonly settings: GatewaySettings;
  /** The settings by the command line and the file as it is now. */
  readonly reread: () => Promise<GatewaySettings>;
  readonly gateway: Promise<Pick<MeshGateway, 'advertise' | 'answer' | 'breakOut' | 'useFlows'>>;
  readonly metrics: Promise<Pick<MetricsEndpoint, 'use'>>;
  readonly log: Log;
}

/** The last reload did not succeed. */
export interface ReloadFault {
  /** ms since the Unix epoch. */
  readonly at: number;
  /** What is wrong, with the file and line where it is in a file. */
  readonly message: string;
  /** Some of it was applied before it failed: what was refused from the start changes nothing. */
  readonly inPart: boolean;
}

export class Reloader {
  fault: ReloadFault | undefined;
  readonly #options: ReloadOptions;
  readonly #turns = new Turns();
  #settings: GatewaySettings;

  constructor(options: ReloadOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** Never rejects: what went wrong is in the log, and in `fault`. */
  reload(): Promise<void> {
    return this.#turns.take(() => this.#reload());
  }

  async #reload(): Promise<void> {
    const { reread, log } = this.#options;
    let inPart = false;
    try {
      const after = await reread();
      const wanted = checked(after);
      inPart = true;
      await this.#apply(after, wanted);
      this.fault = undefined;
    } catch (error) {
      this.fault = { at: Date.now(), message: (error as Error).message, inPart };
      const text = inPart ? 'reloaded only in part' : 'not reloaded: all stays as it was';
      log.error({ err: error }, `the configuration was ${text}`);
    }
  }

  async #apply(after: GatewaySettings, { wish, prefixes }: Wanted): Promise<void> {
    const { gateway, metrics, log } = this.#options;
    const before = this.#settings;
    const names = Object.keys({ ...before, ...after }) as (keyof GatewaySettings)[];
    const changed = names.filter((name) => String(before[name]) !== String(after[name]));
    const { allowDefault } = after;
    const isOffer = changed.includes('advertise') || changed.includes('allowDefault');
    if (isOffer && prefixes !== undefined) {
      await (await gateway).advertise(prefixes, allowDefault);
    }
    if (BREAKOUT.some((name) => changed.includes(name))) {
      await (await gateway).breakOut(wish);
    }
    if (changed.includes('diagnosis')) await (await gateway).answer(after.diagnosis);
    if (changed.includes('metrics')) await (await metrics).use(after.metrics);
    if (changed.some((name) => FLOWS.includes(name))) await (await gateway).useFlows(after);
    log.level = parseLogLevel(process.env.LOG_LEVEL || after.logLevel) ?? 'info';
    const atStart = changed.filter((name) => !LIVE.includes(name) && !ONCE.includes(name));
    if (atStart.length > 0) log.warn({ settings: atStart }, 'changes that the next start takes');
    // What is in force of the others is what it was started with.
    const applied = LIVE.map((name) => [name, after[name]]);
    this.#settings = { ...before, ...Object.fromEntries(applied) };
    log.info({ changed: changed.filter((name) => LIVE.includes(name)) }, 'configuration reloaded');
  }
}

interface Wanted {
  readonly wish: BreakoutWish;
  readonly prefixes: readonly string[] | undefined;
}

/** What is refused is refused before anything is applied. @throws CausewayError */
function checked(after: GatewaySettings): Wanted {
  const wish = breakoutWish(after);
  const prefixes = after.advertise?.map((text) => checkPrefix(text, after.allowDefault));
  if (after.metrics !== undefined) checkListenAddress(after.metrics);
  return { wish, prefixes };
}
