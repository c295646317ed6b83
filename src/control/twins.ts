/**
 * Finds replicas that run twice: two machines with copies of one identity, each of which takes the
 * netmap stream away from the other, again and again.
 *
 * Each run of a daemon names itself when it opens a stream. One that was replaced by another (a
 * restart) never comes back; one that changes its address (another uplink) keeps its name. So a name
 * that comes back after another one is proof of two that are alive. Twice is asked for, because a
 * request of a run that has ended may be late once. Pure.
 */
import type { ReplicaId } from './model.ts';

/** Ms after which what was seen counts no more; two that take turns do so at least each half minute. */
export const TWINS_REMEMBERED = 180_000;
const RETURNS = 2;
/** Runs of a replica that are remembered. */
const MAX_RUNS = 4;

interface Run {
  readonly instance: string;
  address: string;
  /** Last opening of a stream. */
  at: number;
}

interface Seen {
  /** The one that has the stream last. */
  readonly runs: Run[];
  /** Times at which one came back, the last ones. */
  readonly returns: number[];
}

export class TwinWatch {
  readonly #replicas = new Map<ReplicaId, Seen>();

  /**
   * A run opened a stream. Returns the addresses of the runs if there are two at once.
   *
   * @param instance names the run
   * @param now monotonic or not, in ms
   */
  handleOpened(
    replica: ReplicaId,
    instance: string,
    address: string,
    now: number,
  ): readonly string[] | undefined {
    let seen = this.#replicas.get(replica);
    if (seen === undefined) {
      seen = { runs: [], returns: [] };
      this.#replicas.set(replica, seen);
    }
    const { runs, returns } = seen;
    const at = runs.findIndex((run) => run.instance === instance);
    if (at >= 0 && at < runs.length - 1) returns.push(now);
    if (at >= 0) runs.splice(at, 1);
    runs.push({ instance, address, at: now });
    if (runs.length > MAX_RUNS) runs.shift();
    if (returns.length > RETURNS) returns.shift();
    return this.twins(replica, now);
  }

  /** Addresses of the runs that take turns; undefined = there is one, or none. */
  twins(replica: ReplicaId, now: number): readonly string[] | undefined {
    const { runs, returns } = this.#replicas.get(replica) ?? { runs: [], returns: [] };
    const recent = returns.filter((time) => now - time <= TWINS_REMEMBERED);
    if (recent.length < RETURNS) return undefined;
    const alive = runs.filter(({ at }) => now - at <= TWINS_REMEMBERED);
    return [...new Set(alive.map(({ address }) => address))].sort();
  }

  /** The replica is no more. */
  forget(replica: ReplicaId): void {
    this.#replicas.delete(replica);
  }
}
