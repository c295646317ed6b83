/**
 * Filter expressions as people write them for tcpdump, a part of pcap-filter(7):
 *
 *   expression  term { ("and" | "&&" | "or" | "||") term }     from left to right, none binds closer
 *   term        [ "not" | "!" ] ( "(" expression ")" | primitive )
 *   primitive   kind | [ kind ] [ "src" | "dst" ] object | "less" N | "greater" N
 *   object      [ "host" ] ADDRESS | [ "net" ] PREFIX | "port" N | "portrange" N-N
 *             | "proto" N, without a direction
 *   kind        "ip" | "ip6" | "tcp" | "udp" | "icmp" | "icmp6"
 */
import { parseAddress } from './address.ts';
import { type Prefix, parsePrefixStrict } from './prefix.ts';

export type PacketKind = 'ip' | 'ip6' | 'tcp' | 'udp' | 'icmp' | 'icmp6';
export type Direction = 'src' | 'dst' | 'either';

export type FilterExpression =
  | {
      readonly type: 'and' | 'or';
      readonly left: FilterExpression;
      readonly right: FilterExpression;
    }
  | { readonly type: 'not'; readonly term: FilterExpression }
  | { readonly type: 'kind'; readonly kind: PacketKind }
  | { readonly type: 'address'; readonly direction: Direction; readonly prefix: Prefix }
  | {
      readonly type: 'port';
      readonly direction: Direction;
      readonly least: number;
      readonly most: number;
    }
  | { readonly type: 'protocol'; readonly number: number }
  | { readonly type: 'length'; readonly least: number; readonly most: number };

export interface FilterMistake {
  /** Where it is, in characters from 0. */
  readonly at: number;
  /** What is wrong and what is expected, without a full stop. */
  readonly message: string;
}

export type ParsedFilter =
  | { readonly ok: true; readonly expression: FilterExpression }
  | { readonly ok: false; readonly mistake: FilterMistake };

/** Characters of an expression, and how deep its parentheses may be. */
export const MAX_FILTER_LENGTH = 2_048;
const MAX_DEPTH = 64;

const KINDS: readonly string[] = [
  'ip',
  'ip6',
  'tcp',
  'udp',
  'icmp',
  'icmp6',
] satisfies PacketKind[];
const PRIMITIVES =
  'host, net, port, portrange, src, dst, proto, less, greater, tcp, udp, icmp, icmp6, ip or ip6';

interface Token {
  readonly text: string;
  readonly at: number;
}

class Mistake extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/** Returns, never throws: the text comes from another process. */
export function parseFilter(text: string): ParsedFilter {
  if (text.length > MAX_FILTER_LENGTH) {
    const message = `it is longer than ${MAX_FILTER_LENGTH} characters`;
    return { ok: false, mistake: { at: MAX_FILTER_LENGTH, message } };
  }
  try {
    return { ok: true, expression: new Parser(text).parse() };
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    return { ok: false, mistake: { at: error.at, message: error.message } };
  }
}

/** The expression with a mark below the place, and the sentence: for people. */
export function explainMistake(text: string, { at, message }: FilterMistake): string {
  const line = text.replace(/\s/g, ' ').slice(0, MAX_FILTER_LENGTH);
  return `The filter is wrong at character ${at + 1}: ${message}.\n  ${line}\n  ${' '.repeat(at)}^`;
}

class Parser {
  readonly #tokens: Token[] = [];
  readonly #end: number;
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    for (const { 0: word, index } of text.matchAll(/&&|\|\||[()!]|[^\s()!&|]+|[&|]/g)) {
      this.#tokens.push({ text: word, at: index });
    }
    this.#end = text.trimEnd().length;
  }

  parse(): FilterExpression {
    if (this.#tokens.length === 0) throw new Mistake(0, `it is empty: begin with ${PRIMITIVES}`);
    const expression = this.#expression();
    const rest = this.#peek();
    if (rest.text !== '') {
      throw new Mistake(
        rest.at,
        rest.text === ')'
          ? 'there is no "(" for this ")"'
          : `${quote(rest)} follows without "and" or "or"`,
      );
    }
    return expression;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { text: '', at: this.#end };
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #expression(): FilterExpression {
    let left = this.#term();
    for (;;) {
      const { text } = this.#peek();
      const type = AND.includes(text) ? 'and' : OR.includes(text) ? 'or' : undefined;
      if (type === undefined) return left;
      this.#next++;
      left = { type, left, right: this.#term() };
    }
  }

  #term(): FilterExpression {
    const token = this.#take();
    if (token.text === 'not' || token.text === '!') {
      return this.#deeper(token, () => ({ type: 'not', term: this.#term() }));
    }
    if (token.text !== '(') return this.#primitive(token);
    return this.#deeper(token, () => {
      const inside = this.#expression();
      const close = this.#take();
      if (close.text === ')') return inside;
      const found = close.text === '' ? 'the expression ends' : `${quote(close)} stands`;
      throw new Mistake(close.at, `${found} where ")" is expected`);
    });
  }

  #deeper(token: Token, parse: () => FilterExpression): FilterExpression {
    if (++this.#depth > MAX_DEPTH)
      throw new Mistake(token.at, `it is nested deeper than ${MAX_DEPTH}`);
    const parsed = parse();
    this.#depth--;
    return parsed;
  }

  #primitive(token: Token): FilterExpression {
    if (!KINDS.includes(token.text)) return this.#object(token, token);
    const kind: FilterExpression = { type: 'kind', kind: token.text as PacketKind };
    // `tcp port 80` is short for `tcp and port 80`.
    const follows = this.#peek();
    if (!OBJECTS.includes(follows.text)) return kind;
    this.#next++;
    const right = this.#object(follows, follows);
    if (right.type === 'protocol' && !['ip', 'ip6'].includes(token.text)) {
      throw new Mistake(follows.at, `"proto" does not go with ${quote(token)}`);
    }
    return { type: 'and', left: kind, right };
  }

  /** @param start where the primitive began */
  #object(start: Token, token: Token, direction: Direction = 'either'): FilterExpression {
    switch (token.text) {
      case 'src':
      case 'dst': {
        const next = this.#take();
        if (direction !== 'either' || ['proto', 'less', 'greater'].includes(next.text)) {
          const wrong = direction === 'either' ? next : token;
          throw new Mistake(wrong.at, 'an address or a port is expected after the direction');
        }
        return this.#object(start, next, token.text);
      }
      case 'host':
        return address(this.#take(), direction, true);
      case 'net':
        return address(this.#take(), direction, false);
      case 'port': {
        const value = this.#take();
        const port = numberIn(value, 65_535);
        if (port === undefined)
          throw new Mistake(value.at, `a port from 0 to 65535 is expected${instead(value)}`);
        return { type: 'port', direction, least: port, most: port };
      }
      case 'portrange':
        return ports(this.#take(), direction);
      case 'proto':
        return this.#protocol();
      case 'less':
      case 'greater': {
        const value = this.#take();
        const length = numberIn(value, 65_535);
        if (length === undefined)
          throw new Mistake(value.at, `a length in bytes is expected${instead(value)}`);
        const isLess = token.text === 'less';
        return { type: 'length', least: isLess ? 0 : length, most: isLess ? length : 65_535 };
      }
      default:
        if (/^[0-9a-fA-F:.]*[.:][0-9a-fA-F:./]*$/.test(token.text)) {
          return address(token, direction, !token.text.includes('/'));
        }
        throw new Mistake(
          token.at,
          token.text === ''
            ? 'it ends here, where more is expected'
            : `${quote(token)} is not known: ${PRIMITIVES} is expected`,
        );
    }
  }

  #protocol(): FilterExpression {
    const value = this.#take();
    const number = PROTOCOLS.get(value.text.replace(/^\\/, '')) ?? numberIn(value, 255);
    if (number !== undefined) return { type: 'protocol', number };
    const message = `a protocol is expected, a number from 0 to 255 or ${[...PROTOCOLS.keys()].join(', ')}`;
    throw new Mistake(value.at, `${message}${instead(value)}`);
  }
}

const AND = ['and', '&&'];
const OR = ['or', '||'];
const OBJECTS = ['src', 'dst', 'host', 'net', 'port', 'portrange', 'proto'];
/** Of the Internet's registry of protocol numbers. */
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['icmp6', 58],
  ['sctp', 132],
]);

function address(token: Token, direction: Direction, isHost: boolean): FilterExpression {
  const parsed = parsePrefixStrict(token.text);
  const what = isHost ? 'an address' : 'a prefix, as 10.1.0.0/16,';
  if (parsed === undefined || (isHost && parseAddress(token.text) === undefined)) {
    throw new Mistake(token.at, `${what} is expected${instead(token)}`);
  }
  if (parsed.hostBits)
    throw new Mistake(token.at, `${quote(token)} has bits set behind its prefix length`);
  return { type: 'address', direction, prefix: parsed.prefix };
}

function ports(token: Token, direction: Direction): FilterExpression {
  const [least, most, ...more] = token.text.split('-').map((text) => {
    return numberIn({ ...token, text }, 65_535);
  });
  if (least === undefined || most === undefined || least > most || more.length > 0) {
    throw new Mistake(token.at, `two ports are expected, as 8000-8010${instead(token)}`);
  }
  return { type: 'port', direction, least, most };
}

function numberIn({ text }: Token, most: number): number | undefined {
  const number = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return number <= most ? number : undefined;
}

function quote({ text }: Token): string {
  return `"${text.length > 40 ? `${text.slice(0, 40)}…` : text}"`;
}

function instead(token: Token): string {
  return token.text === '' ? '' : `, not ${quote(token)}`;
}
