/**
 * The highest rate of 64-byte UDP with less than 1 % loss.
 *
 * One trial offers a rate for a second and compares what arrived with what was sent; a rate holds
 * if one of two trials loses less than 1 %. The search goes up by a quarter from where the last one
 * ended (down first if that does not hold), then halves the interval until it is 4 % wide. The
 * figure is the received rate of the highest trial that held. The same for ours and the peer.
 */
import type { Process } from '../lab/process.ts';
import { type Ends, INNER, type TunnelPair } from '../lab/tunnel-pair.ts';
import { loadProgram } from './load-program.ts';
import { measureInTurn } from './measure.ts';
import type { Figure, Options } from './options.ts';

const PORT = '7';
const RECEIVE_BUFFER = String(8 << 20);
const LOSS = 0.01;
const FIRST_RATE = 60_000;
const LOWEST_RATE = 100;
const STEP = 1.25;
const PRECISION = 1.04;

interface Trial {
  /** Packets a second that arrived; 0 if too many were lost. */
  readonly held: number;
  /** The generator could not offer more. */
  readonly saturated: boolean;
}

class Load {
  readonly #pair: Ends;
  readonly #program: string;
  readonly #receiver: Process;
  readonly #seconds: number;
  #run = 0;

  private constructor(pair: Ends, program: string, receiver: Process, seconds: number) {
    this.#pair = pair;
    this.#program = program;
    this.#receiver = receiver;
    this.#seconds = seconds;
  }

  static async open(pair: Ends, seconds: number): Promise<Load> {
    const program = await loadProgram();
    const receiver = pair.east.start([program, 'receive', PORT, RECEIVE_BUFFER]);
    await receiver.line(/ready/);
    return new Load(pair, program, receiver, seconds);
  }

  async #offer(rate: number): Promise<Trial> {
    this.#run += 1;
    const command = [this.#program, 'send', INNER.right, PORT, String(rate), String(this.#seconds)];
    const text = await this.#pair.west.run([...command, String(this.#run)]);
    const [, sent, took] = /sent (\d+) seconds ([\d.]+)/.exec(text)!;
    const answer = this.#receiver.nextLine(/received (\d+)/);
    this.#receiver.write(`${this.#run}\n`);
    const received = Number((await answer)[1]);
    const saturated = Number(sent) < rate * this.#seconds * 0.97;
    const holds = received > Number(sent) * (1 - LOSS);
    return { held: holds ? received / Number(took) : 0, saturated };
  }

  async trial(rate: number): Promise<Trial> {
    const first = await this.#offer(rate);
    return first.held > 0 ? first : this.#offer(rate);
  }

  /** Returns the highest rate that held, starting the search at `start`. */
  async search(start: number): Promise<number> {
    let best = 0;
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    for (let rate = start; rate >= LOWEST_RATE; ) {
      const { held, saturated } = await this.trial(Math.round(rate));
      if (held > 0) {
        best = Math.max(best, held);
        low = rate;
        if (saturated) return best;
      } else {
        high = rate;
      }
      if (low > 0 && high / low < PRECISION) return best;
      if (low === 0) rate /= STEP;
      else rate = high === Number.POSITIVE_INFINITY ? low * STEP : Math.sqrt(low * high);
    }
    return best;
  }

  async close(): Promise<void> {
    this.#receiver.endInput();
    await this.#receiver.exited;
  }
}

/** Packets a second from west to east; `start` is where the search starts. */
export async function measureRate(
  pair: Ends,
  seconds: number,
  start = FIRST_RATE,
): Promise<number> {
  const load = await Load.open(pair, seconds);
  const found = await load.search(Math.max(start, 1000));
  await load.close();
  return found;
}

export async function pps(options: Options): Promise<Figure[]> {
  const lastOf = new Map<TunnelPair, number>();
  const { rate } = await measureInTurn(
    options,
    async (pair, seconds = 1) => {
      const found = await measureRate(pair, seconds, lastOf.get(pair));
      lastOf.set(pair, found);
      return { rate: found };
    },
    (value) => value.toFixed(0),
  );
  const budget = { least: 2.0 };
  return [{ part: '', ...rate, unit: 'packets/s', budget, against: 'ratio' }];
}
