/**
 * Whether a chain for addresses (type `nat`) rewrites those of a connection. The kernel asks one such
 * chain after the other until one has rewritten: each is judged by itself, and that one keeps the
 * addresses binds no other. Pure.
 *
 * Only what is certain is said: a rule that matches perhaps, and would keep the addresses, leaves open
 * what those after it do.
 */
import { all, chainKey, type FilterChain, type ProbePacket, type Verdict } from './filter-model.ts';

/** Chains that jump in circles, or to each other in many ways, are given up. */
const MOST_STEPS = 200_000;
const MOST_DEPTH = 64;

interface Walked {
  /** When rules that match perhaps do not. `return`: it came to the end, or was sent back. */
  readonly end: 'rewritten' | 'kept' | 'return';
  /** The one that rewrites. */
  readonly rule?: string;
  /** By a rule that matches perhaps. */
  readonly mayKeep: boolean;
  readonly mayReturn: boolean;
}

const KEPT: Walked = { end: 'kept', mayKeep: false, mayReturn: false };
const RETURNED: Walked = { end: 'return', mayKeep: false, mayReturn: false };

export class NatWalk {
  readonly #chains = new Map<string, FilterChain>();
  #steps = 0;

  constructor(chains: readonly FilterChain[]) {
    for (const chain of chains) this.#chains.set(chainKey(chain, chain.name), chain);
  }

  /**
   * The rule of a base chain, or of one that it jumps to, that surely rewrites a connection with that
   * first packet.
   */
  rewriting(chain: FilterChain, packet: ProbePacket): string | undefined {
    this.#steps = 0;
    const { end, rule, mayKeep, mayReturn } = this.#walk(chain, packet, 0);
    return end === 'rewritten' && !mayKeep && !mayReturn ? rule : undefined;
  }

  #walk(chain: FilterChain, packet: ProbePacket, depth: number): Walked {
    let mayKeep = false;
    let mayReturn = false;
    for (const { matchers, verdict } of chain.rules) {
      if (++this.#steps > MOST_STEPS || depth > MOST_DEPTH) return KEPT;
      if (verdict === undefined) continue;
      const matched = all(matchers.map((matcher) => matcher(packet)));
      if (matched === 'no') continue;
      const done = this.#perform(chain, verdict, packet, depth);
      mayKeep ||= done.mayKeep;
      if (verdict.kind === 'jump') {
        const isSure = matched === 'yes' && !done.mayReturn;
        if (isSure && done.end !== 'return') return { ...done, mayKeep, mayReturn };
        mayKeep ||= done.end === 'kept';
        continue;
      }
      if (matched === 'yes') return { ...done, mayKeep, mayReturn: mayReturn || done.mayReturn };
      mayKeep ||= done.end === 'kept';
      mayReturn ||= done.mayReturn || done.end === 'return';
    }
    return { end: 'return', mayKeep, mayReturn };
  }

  #perform(chain: FilterChain, verdict: Verdict, packet: ProbePacket, depth: number): Walked {
    switch (verdict.kind) {
      case 'rewrite':
        return { end: 'rewritten', rule: verdict.rule, mayKeep: false, mayReturn: false };
      case 'return':
        return RETURNED;
      case 'jump':
      case 'goto': {
        const target = this.#chains.get(chainKey(chain, verdict.chain));
        return target === undefined ? KEPT : this.#walk(target, packet, depth + 1);
      }
      default:
        return KEPT;
    }
  }
}
