/**
 * Sorts received runs into those that the relay forwards and those for the edge itself.
 *
 * What is forwarded is sent from where it was received: an entry of the outbound vector points at the
 * run in the inbound arena, and only the three reserved bytes of each message are rewritten, from the
 * destination's relay id to the source's (DESIGN § 2). One look per run, three bytes per message; no
 * allocation. The inbound arena must stay as it is until the outbound vector is sent.
 */
import { FOR_EDGE, type RelayCore } from '../../control/relay/relay-core.ts';
import { type InboundVector, OutboundVector, SLOT_COMPLETE } from '../../vector.ts';

export class Forwarding {
  /** What is to be sent, to endpoints of the core's table. */
  readonly outbound: OutboundVector;
  readonly #core: RelayCore;
  readonly #inbound: InboundVector;
  /** Messages and bytes forwarded. */
  readonly #forwarded: Float64Array;

  /** @param forwarded two counters: messages, bytes */
  constructor(core: RelayCore, inbound: InboundVector, forwarded: Float64Array) {
    this.#core = core;
    this.#inbound = inbound;
    this.#forwarded = forwarded;
    this.outbound = new OutboundVector(inbound.capacity, inbound.arena);
  }

  /** Fills the outbound vector; the inbound vector keeps the runs that are for the edge itself. */
  sort(now: number): void {
    const v = this.#inbound;
    const runs = v.length;
    this.outbound.clear();
    v.length = 0;
    for (let i = 0; i < runs; i++) {
      const slot = this.#core.decide(v, i, now);
      if (slot >= 0) this.#forward(i, slot);
      else if (slot === FOR_EDGE) this.#keep(i);
    }
  }

  #forward(run: number, slot: number): void {
    const v = this.#inbound;
    const out = this.outbound;
    const at = out.length++;
    const offset = v.offset[run]!;
    const stride = v.stride[run]!;
    const count = v.count[run]!;
    const last = v.lastSize[run]!;
    out.offset[at] = offset;
    out.stride[at] = stride;
    out.count[at] = count;
    out.lastSize[at] = last;
    out.slot[at] = SLOT_COMPLETE;
    out.endpoint[at] = slot;
    const { arena } = v;
    const { source } = this.#core;
    const middle = source >>> 8;
    const high = source >>> 16;
    for (let k = 0, message = offset; k < count; k++, message += stride) {
      arena[message + 1] = source;
      arena[message + 2] = middle;
      arena[message + 3] = high;
    }
    this.#forwarded[0] = this.#forwarded[0]! + count;
    this.#forwarded[1] = this.#forwarded[1]! + (count - 1) * stride + last;
  }

  /** Moves a run to the front of the inbound vector. */
  #keep(run: number): void {
    const v = this.#inbound;
    const at = v.length++;
    if (at === run) return;
    v.offset[at] = v.offset[run]!;
    v.stride[at] = v.stride[run]!;
    v.count[at] = v.count[run]!;
    v.lastSize[at] = v.lastSize[run]!;
    v.head[at] = v.head[run]!;
    v.receiver[at] = v.receiver[run]!;
    v.slot[at] = v.slot[run]!;
    v.source[at] = v.source[run]!;
    v.first[at] = v.first[run]!;
  }
}
