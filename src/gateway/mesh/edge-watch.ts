/**
 * Looks at the edges' handshakes once a second, where an edge has several addresses, and has the
 * gateway shake hands or take the next address as the choice (address-choice.ts) says.
 */
import type { NetmapEdge } from '../../control/netmap.ts';
import { keyToBase64 } from '../../keys.ts';
import { formatEndpoint } from '../endpoint-text.ts';
import type { Log } from '../log.ts';
import type { Tunnel } from '../tunnel.ts';
import type { EdgeEndpoints } from './edge-endpoints.ts';

export const LOOK_AT_EDGES = 1_000;

export interface EdgeWatchOptions {
  readonly tunnel: Pick<Tunnel, 'snapshot'>;
  readonly endpoints: EdgeEndpoints;
  /** Of the netmap in force. */
  readonly edges: () => readonly NetmapEdge[];
  /** Takes over the addresses in use and shakes hands with these. */
  readonly act: (edges: readonly NetmapEdge[]) => Promise<void>;
  readonly log: Log;
}

export class EdgeWatch {
  readonly #options: EdgeWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #acting = false;

  constructor(options: EdgeWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(Date.now()), LOOK_AT_EDGES).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A handshake with these was begun for another reason. */
  expect(edges: readonly NetmapEdge[], now: number): void {
    const { tunnel, endpoints } = this.#options;
    const choices = edges.filter(({ id }) => endpoints.choiceOf(id).isOpen);
    if (choices.length === 0) return;
    const last = new Map(
      tunnel.snapshot().peers.map((peer) => [keyToBase64(peer.publicKey), peer.lastHandshake]),
    );
    for (const { id, publicKey } of choices) {
      endpoints.choiceOf(id).expect(now, last.get(publicKey) ?? 0);
    }
  }

  /** @param now ms since the Unix epoch */
  look(now: number): void {
    const { tunnel, endpoints, edges, act, log } = this.#options;
    const several = edges().filter(({ id }) => endpoints.choiceOf(id).isOpen);
    if (several.length === 0 || this.#acting) return;
    const live = new Map(
      tunnel.snapshot().peers.map((peer) => [keyToBase64(peer.publicKey), peer]),
    );
    const ofEdges = new Set(edges().map(({ publicKey }) => publicKey));
    let peerRxBytes = 0;
    let peerTxBytes = 0;
    for (const [key, { rxBytes, txBytes }] of live) {
      if (ofEdges.has(key)) continue;
      peerRxBytes += rxBytes;
      peerTxBytes += txBytes;
    }
    const shake: NetmapEdge[] = [];
    for (const edge of several) {
      const peer = live.get(edge.publicKey);
      if (peer === undefined) continue;
      const choice = endpoints.choiceOf(edge.id);
      const from = choice.current;
      const advice = choice.look({
        now,
        lastHandshake: peer.lastHandshake,
        address: peer.endpoint && formatEndpoint(peer.endpoint),
        peerRxBytes,
        peerTxBytes,
      });
      if (advice === 'stay') continue;
      shake.push(edge);
      if (advice !== 'moved') continue;
      const text = 'the relay does not answer here: its next address is tried';
      log.warn({ edge: edge.name, from, to: choice.current }, text);
    }
    if (shake.length === 0) return;
    this.#acting = true;
    const done = act(shake).catch((error: unknown) => {
      log.error({ err: error }, "an edge's other address could not be used");
    });
    void done.finally(() => {
      this.#acting = false;
      for (const { id } of shake) endpoints.choiceOf(id).done(Date.now());
    });
  }
}
