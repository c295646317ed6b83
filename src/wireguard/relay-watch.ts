/**
 * Notices that a relay no longer reaches us (DESIGN § 2, binding). When a NAT before us forgets its
 * mapping, what we send leaves from a new address. The edge is bound to the old one, and learns the new
 * one only from a message to itself: until then it forwards neither what we send nor what others send
 * to us. We cannot see that, but for the silence.
 *
 * So whenever something went either way through a relay and then nothing at all came from it for
 * RELAY_SILENCE, the edge gets a keepalive, and again after twice the time each, until its persistent
 * keepalive is as good. While we go on sending and nothing comes, that is one of 32 bytes each second.
 */
import type { DeviceState } from './device-state.ts';
import type { Peer } from './peer.ts';
import { RELAY_PROBE, RELAY_PROBE_MAX, RELAY_SILENCE } from './timers.ts';

export class RelayWatch {
  readonly #state: DeviceState;

  constructor(state: DeviceState) {
    this.#state = state;
  }

  /** Something was sent to the peer. Hot path. */
  sent(peer: Peer, now: number): void {
    const edge = this.#edgeOf(peer);
    if (edge === undefined) return;
    const { timers } = this.#state;
    if (timers.deadline(edge.number, RELAY_PROBE) > now + RELAY_SILENCE) this.#begin(edge, now);
  }

  /** An authentic message of the peer came from its endpoint. Hot path. */
  received(peer: Peer, now: number): void {
    const edge = this.#edgeOf(peer);
    if (edge !== undefined) this.#begin(edge, now);
  }

  /** The edge that is to be told where we are before a handshake with the peer, as it may not know. */
  edgeInDoubt(peer: Peer): Peer | undefined {
    const edge = this.#edgeOf(peer);
    if (edge === undefined) return undefined;
    const watched = this.#state.timers.isArmed(edge.number, RELAY_PROBE);
    return watched && edge.probeAfter === RELAY_SILENCE ? undefined : edge;
  }

  /** The edge is told where we are because of its silence. */
  probed(edge: Peer, now: number): void {
    edge.probeAfter *= 2;
    if (edge.probeAfter > RELAY_PROBE_MAX) return;
    this.#state.timers.arm(edge.number, RELAY_PROBE, now + edge.probeAfter);
  }

  #begin(edge: Peer, now: number): void {
    const { timers, isUp } = this.#state;
    if (!isUp) return;
    edge.probeAfter = RELAY_SILENCE;
    timers.arm(edge.number, RELAY_PROBE, now + RELAY_SILENCE);
  }

  /** The edge through whose relay the peer is reached. */
  #edgeOf(peer: Peer): Peer | undefined {
    const { endpoints, peers, relayedSources } = this.#state;
    if (this.#state.relayIdOf(peer.number) === 0) return undefined;
    const number = relayedSources.peerAt(endpoints.words, peer.number);
    return number < 0 ? undefined : peers[number];
  }
}
