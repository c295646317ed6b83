/**
 * What a base chain does with a packet. Every base chain at a hook must let it through: that a later
 * one accepts does not undo that an earlier one dropped. Pure.
 *
 * What a rule does that matches perhaps is a possibility beside what happens if none of those match,
 * so that a chain which accepts by default and names some ports lets the packet through, and one that
 * drops by default and names some ports lets a part of the packets through.
 */
import { all, chainKey, type FilterChain, type ProbePacket, type Verdict } from './filter-model.ts';

/** `partly`: it is dropped but where rules match that a probe cannot decide. */
export type Passage = 'passes' | 'partly' | 'dropped';

/** Chains that jump in circles, or to each other in many ways, are given up. */
const MOST_STEPS = 200_000;
const MOST_DEPTH = 64;

type Decision = Exclude<Verdict, { kind: 'rewrite' }>;
type End = 'accept' | 'drop' | 'return';

interface Walked {
  /** When rules that match perhaps do not. */
  readonly end: End;
  /** By one that matches perhaps. */
  readonly mayAccept: boolean;
}

export class FilterWalk {
  readonly #chains = new Map<string, FilterChain>();
  #steps = 0;

  constructor(chains: readonly FilterChain[]) {
    for (const chain of chains) this.#chains.set(chainKey(chain, chain.name), chain);
  }

  /** Of a base chain. */
  passage(chain: FilterChain, packet: ProbePacket): Passage {
    this.#steps = 0;
    const { end, mayAccept } = this.#walk(chain, packet, 0);
    const last = end === 'return' ? (chain.policy ?? 'accept') : end;
    if (last === 'accept') return 'passes';
    return mayAccept || this.#steps > MOST_STEPS ? 'partly' : 'dropped';
  }

  #walk(chain: FilterChain, packet: ProbePacket, depth: number): Walked {
    let mayAccept = false;
    for (const { matchers, verdict } of chain.rules) {
      if (++this.#steps > MOST_STEPS || depth > MOST_DEPTH) break;
      if (verdict === undefined || verdict.kind === 'rewrite') continue;
      const matched = all(lazily(matchers, packet));
      if (matched === 'no') continue;
      const done = this.#perform(chain, verdict, packet, depth);
      mayAccept ||= done.mayAccept;
      if (matched === 'maybe') {
        mayAccept ||= done.end === 'accept';
        continue;
      }
      if (done.end !== 'return' || verdict.kind === 'return' || verdict.kind === 'goto') {
        return { end: done.end, mayAccept };
      }
    }
    return { end: 'return', mayAccept };
  }

  #perform(chain: FilterChain, verdict: Decision, packet: ProbePacket, depth: number): Walked {
    if (verdict.kind !== 'jump' && verdict.kind !== 'goto') {
      return { end: verdict.kind, mayAccept: false };
    }
    const target = this.#chains.get(chainKey(chain, verdict.chain));
    if (target === undefined) return { end: 'return', mayAccept: true };
    return this.#walk(target, packet, depth + 1);
  }
}

function* lazily(matchers: FilterChain['rules'][number]['matchers'], packet: ProbePacket) {
  for (const matcher of matchers) yield matcher(packet);
}
