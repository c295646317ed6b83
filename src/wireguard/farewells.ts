/**
 * The last word of a gateway to its edges, so that who went on purpose is not waited for: a path frame
 * inside the session (path-frames.ts), by which the session ends.
 *
 * It names the run that ends, as no other has its keys. A run that follows at once has a session of its
 * own, and what arrives late of the one before changes nothing. It is not answered and may be lost: then
 * the edge hears by silence, as of a gateway that was killed. Some copies leave together against that.
 */
import { type InboundVector, MESSAGE_HEADER_SIZE } from '../vector.ts';
import type { DeviceState } from './device-state.ts';
import { isFarewell } from './path-frames.ts';
import type { Sessions } from './sessions.ts';

const COPIES = 3;

/** What a run of messages says: none is there; one of a session that is not the last; the last one ended. */
export type Farewell = 'none' | 'outdated' | 'ended';

export class Farewells {
  readonly #state: DeviceState;
  readonly #sessions: Sessions;

  constructor(state: DeviceState, sessions: Sessions) {
    this.#state = state;
    this.#sessions = sessions;
  }

  /** Has every edge told that has a session with us. */
  bid(): void {
    const { relayedSources, peers } = this.#state;
    for (const number of relayedSources.edges()) {
      const peer = peers[number];
      if (peer?.current === undefined) continue;
      peer.farewells = COPIES;
      this.#state.enqueue(peer);
    }
  }

  /** Run `run` was opened and taken; what there is of a farewell in it takes effect. */
  handle(v: InboundVector, run: number): Farewell {
    if (!holdsFarewell(v, run)) return 'none';
    const { indexes } = this.#state;
    const place = indexes.find(v.receiver[run]!);
    const keypair = place < 0 ? undefined : indexes.keypairAt(place);
    if (keypair === undefined || keypair.peer.current !== keypair) return 'outdated';
    this.#sessions.endCurrent(keypair.peer);
    return 'ended';
  }
}

function holdsFarewell(v: InboundVector, run: number): boolean {
  for (let k = 0; k < v.count[run]!; k++) {
    const plain = v.plain[v.first[run]! + k]!;
    if (plain <= 0) continue;
    const at = v.offset[run]! + k * v.stride[run]! + MESSAGE_HEADER_SIZE;
    if (isFarewell(v.arena, at, plain)) return true;
  }
  return false;
}
