/**
 * Notices of what others change in the kernel, which is followed in the gateway's turn. Those that come
 * while one waits for its turn are followed with it: they may come faster than the kernel is read, from a
 * program that changes sets of nftables all the time, and everything else would wait behind them, the
 * longer the more.
 */
import type { KernelPart } from '../../tun/kernel-monitor.ts';
import type { Turns } from './turns.ts';

export class KernelNotices {
  readonly #turns: Pick<Turns, 'take'>;
  readonly #follow: (parts: ReadonlySet<KernelPart>) => Promise<void>;
  /** Of the step that has not begun; undefined = there is none. */
  #waiting: Set<KernelPart> | undefined;

  constructor(
    turns: Pick<Turns, 'take'>,
    follow: (parts: ReadonlySet<KernelPart>) => Promise<void>,
  ) {
    this.#turns = turns;
    this.#follow = follow;
  }

  /** Resolves, or rejects, as the step that follows these; at once where another waits for it. */
  async add(parts: ReadonlySet<KernelPart>): Promise<void> {
    if (this.#waiting !== undefined) {
      for (const part of parts) this.#waiting.add(part);
      return;
    }
    const gathered = new Set(parts);
    this.#waiting = gathered;
    await this.#turns.take(async () => {
      this.#waiting = undefined;
      await this.#follow(gathered);
    });
  }
}
