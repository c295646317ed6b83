/**
 * SIGHUP: what of the configuration file is different now is applied while packets flow. A file with
 * a mistake changes nothing, and what only a start can change is said.
 */
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
  'metrics',
  'logLevel',
  ...FLOWS,
];
const ONCE: readonly (keyof GatewaySettings)[] = ['token', 'tokenFile'];

export interface ReloadOptions {
  readonly settings: GatewaySettings;
  /** The settings by the command line and the file as it is now. */
  readonly reread: () => Promise<GatewaySettings>;
  readonly gateway: Promise<Pick<MeshGateway, 'advertise' | 'breakOut' | 'useFlows'>>;
  readonly metrics: Promise<Pick<MetricsEndpoint, 'use'>>;
  readonly log: Log;
}

export class Reloader {
  readonly #options: ReloadOptions;
  readonly #turns = new Turns();
  #settings: GatewaySettings;

  constructor(options: ReloadOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** Never rejects: what went wrong is in the log. */
  async reload(): Promise<void> {
    const { reread, log } = this.#options;
    try {
      await this.#turns.take(async () => this.#apply(await reread()));
    } catch (error) {
      log.error({ err: error }, 'the configuration was not reloaded: all stays as it was');
    }
  }

  async #apply(after: GatewaySettings): Promise<void> {
    const { gateway, metrics, log } = this.#options;
    const before = this.#settings;
    const names = Object.keys({ ...before, ...after }) as (keyof GatewaySettings)[];
    const changed = names.filter((name) => String(before[name]) !== String(after[name]));
    const { allowDefault } = after;
    // What is refused is refused before anything is applied.
    const wish = breakoutWish(after);
    const prefixes = after.advertise?.map((text) => checkPrefix(text, allowDefault));
    if (after.metrics !== undefined) checkListenAddress(after.metrics);
    const isOffer = changed.includes('advertise') || changed.includes('allowDefault');
    if (isOffer && prefixes !== undefined) {
      await (await gateway).advertise(prefixes, allowDefault);
    }
    if (BREAKOUT.some((name) => changed.includes(name))) {
      await (await gateway).breakOut(wish);
    }
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
