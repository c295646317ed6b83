/**
 * Finds the rules that may cover another one without looking at all of them. A rule covers another only
 * if each of its parts covers each part of the other: so whatever one connector, address or port of the
 * other is taken, the covering rule has it. Rules are kept by what they have, and of a few such witnesses
 * the one that the fewest have is asked.
 *
 * Prefixes, and ranges of ports in blocks of powers of two, are kept by their length and first bits: a
 * lookup asks once for each length that occurs.
 */
import { maxPrefixLength, parsePrefix } from '../../routing/prefix.ts';
import { rangeOf } from './address-set.ts';
import type { Rule, Selector } from './policy.ts';

/** What a side of a rule stands for; null = everybody. */
export interface Side {
  /** The same for equal sides. */
  readonly id: number;
  /** By themselves or by a tag. */
  readonly connectors: ReadonlySet<string>;
  /** Canonical. */
  readonly prefixes: Selector['prefixes'];
}

/** Witnesses tried for each part of a rule. */
const MOST_WITNESSES = 8;
const PORT_BITS = 16;

export class CoveringRules {
  readonly #from = new SideIndex();
  readonly #to = new SideIndex();
  readonly #ports = new BlockIndex();

  /** @param number greater than those before */
  add(number: number, from: Side | null, to: Side | null, ports: Rule['ports']): void {
    this.#from.add(number, from);
    this.#to.add(number, to);
    if (ports.length === 0) this.#ports.addWhole(number);
    for (const [first, last] of ports) {
      for (const [length, bits] of blocksOf(first, last)) this.#ports.add(number, length, bits);
    }
  }

  /** Numbers of all rules that may cover one of these parts, some twice. */
  candidates(from: Side | null, to: Side | null, ports: Rule['ports']): number[] {
    let best: readonly (readonly number[])[] | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    const consider = (lists: readonly (readonly number[])[]): void => {
      const size = lists.reduce((sum, list) => sum + list.length, 0);
      if (size < fewest) {
        fewest = size;
        best = lists;
      }
    };
    for (const lists of this.#from.witnesses(from)) consider(lists);
    for (const lists of this.#to.witnesses(to)) consider(lists);
    const [range] = ports;
    consider(
      range === undefined ? [this.#ports.whole] : this.#ports.around(BigInt(range[0]), PORT_BITS),
    );
    return best!.flat();
  }
}

/** Rules by what one of their sides has. */
class SideIndex {
  readonly #everybody: number[] = [];
  readonly #byConnector = new Map<string, number[]>();
  readonly #byPrefix = { 4: new BlockIndex(), 6: new BlockIndex() };
  readonly #bySide = new Map<number, number[]>();

  add(number: number, side: Side | null): void {
    if (side === null) {
      this.#everybody.push(number);
      return;
    }
    listIn(this.#bySide, side.id).push(number);
    for (const connector of side.connectors) listIn(this.#byConnector, connector).push(number);
    for (const text of side.prefixes) {
      const prefix = parsePrefix(text)!;
      const rest = BigInt(maxPrefixLength(prefix.family) - prefix.length);
      this.#byPrefix[prefix.family].add(number, prefix.length, rangeOf(prefix).first >> rest);
    }
  }

  /** For each of some things that the side has: rules whose side has it too. */
  *witnesses(side: Side | null): Iterable<readonly (readonly number[])[]> {
    const everybody = this.#everybody;
    if (side === null) {
      yield [everybody];
      return;
    }
    const { connectors, prefixes } = side;
    // Nobody: only the same side, or everybody's, covers it.
    if (connectors.size + prefixes.length === 0) {
      yield [everybody, this.#bySide.get(side.id) ?? []];
      return;
    }
    let left = MOST_WITNESSES;
    for (const connector of connectors) {
      if (left-- === 0) break;
      yield [everybody, this.#byConnector.get(connector) ?? []];
    }
    for (const text of prefixes.slice(0, MOST_WITNESSES)) {
      const prefix = parsePrefix(text)!;
      const { first } = rangeOf(prefix);
      const found = this.#byPrefix[prefix.family].around(first, maxPrefixLength(prefix.family));
      yield [everybody, ...found];
    }
  }
}

/** Rules by blocks of numbers that share their first bits. */
class BlockIndex {
  /** By length, then by bits. */
  readonly #blocks = new Map<number, Map<bigint, number[]>>();

  get whole(): readonly number[] {
    return this.#blocks.get(0)?.get(0n) ?? [];
  }

  addWhole(number: number): void {
    this.add(number, 0, 0n);
  }

  add(number: number, length: number, bits: bigint): void {
    let blocks = this.#blocks.get(length);
    if (blocks === undefined) {
      blocks = new Map();
      this.#blocks.set(length, blocks);
    }
    listIn(blocks, bits).push(number);
  }

  /** Lists of the blocks around a value of so many bits. */
  around(value: bigint, width: number): (readonly number[])[] {
    return [...this.#blocks].map(([length, blocks]) => {
      return blocks.get(value >> BigInt(width - length)) ?? [];
    });
  }
}

/** The fewest blocks that make up a range of ports, by length and first bits. */
function* blocksOf(first: number, last: number): Iterable<readonly [length: number, bits: bigint]> {
  for (let at = first; at <= last; ) {
    let free = 0;
    while (free < PORT_BITS && at % 2 ** (free + 1) === 0 && at + 2 ** (free + 1) - 1 <= last)
      free++;
    yield [PORT_BITS - free, BigInt(at / 2 ** free)];
    at += 2 ** free;
  }
}

function listIn<K>(lists: Map<K, number[]>, key: K): number[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}
