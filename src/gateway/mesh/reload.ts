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

const OFFER = ['advertise', 'allowDefault'] as const;
const BREAKOUT = ['breakout', 'breakoutFamily', 'breakoutFallback'] as const;
/** Of the flow log and the one-way detector. */
const FLOWS = ['flowLog', 'flowLogSize', 'flowLogFiles', 'oneWayDetector'] as const;
/** What a running gateway takes; the token is asked for at a start only. */
const LIVE = [...OFFER, ...BREAKOUT, 'diagnosis', 'metrics', ...FLOWS, 'logLevel'] as const;
type Live = (typeof LIVE)[number];
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
  /** In force, but for those of `#unsure`. */
  #settings: GatewaySettings;
  /** Failed half way: neither what they were before nor what they were to be. */
  readonly #unsure = new Set<keyof GatewaySettings>();

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
    const others = names.filter((name) => String(before[name]) !== String(after[name]));
    const changed = [...new Set([...this.#unsure, ...others])];
    const { allowDefault } = after;
    const follow = async (some: readonly Live[], step: () => Promise<void>): Promise<void> => {
      if (!some.some((name) => changed.includes(name))) return;
      for (const name of some) this.#unsure.add(name);
      await step();
      this.#take(after, some);
    };
    await follow(OFFER, async () => {
      if (prefixes !== undefined) await (await gateway).advertise(prefixes, allowDefault);
    });
    await follow(BREAKOUT, async () => (await gateway).breakOut(wish));
    await follow(['diagnosis'], async () => (await gateway).answer(after.diagnosis));
    await follow(['metrics'], async () => (await metrics).use(after.metrics));
    await follow(FLOWS, async () => (await gateway).useFlows(after));
    log.level = parseLogLevel(process.env.LOG_LEVEL || after.logLevel) ?? 'info';
    this.#take(after, ['logLevel']);
    const atStart = changed.filter((name) => !isLive(name) && !ONCE.includes(name));
    if (atStart.length > 0) log.warn({ settings: atStart }, 'changes that the next start takes');
    log.info({ changed: changed.filter(isLive) }, 'configuration reloaded');
  }

  /** They are in force. Of the others that is what the gateway was started with. */
  #take(after: GatewaySettings, names: readonly Live[]): void {
    const taken = Object.fromEntries(names.map((name) => [name, after[name]]));
    this.#settings = { ...this.#settings, ...taken };
    for (const name of names) this.#unsure.delete(name);
  }
}

interface Wanted {
  readonly wish: BreakoutWish;
  readonly prefixes: readonly string[] | undefined;
}

function isLive(name: keyof GatewaySettings): name is Live {
  return (LIVE as readonly string[]).includes(name);
}

/** What is refused is refused before anything is applied. @throws CausewayError */
function checked(after: GatewaySettings): Wanted {
  const wish = breakoutWish(after);
  const prefixes = after.advertise?.map((text) => checkPrefix(text, after.allowDefault));
  if (after.metrics !== undefined) checkListenAddress(after.metrics);
  return { wish, prefixes };
}
