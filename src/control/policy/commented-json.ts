/**
 * JSON as people write it: with comments and commas after last elements (jsonc-parser, which editors
 * use), and with the line and column of every value, so that a fault can be shown where it is.
 */
import {
  createScanner,
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';

export interface Place {
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export type Parsed =
  | {
      readonly ok: true;
      readonly value: unknown;
      /** Where a value, or its nearest parent, is. */
      readonly placeOf: (path: readonly PropertyKey[]) => Place;
    }
  | { readonly ok: false; readonly message: string; readonly place: Place };

/** Deeper is no policy, and the parser calls itself for each level. */
const MAX_DEPTH = 32;

export function parseCommentedJson(text: string): Parsed {
  const lines = new LineStarts(text);
  const refuse = (message: string, offset: number): Parsed => {
    return { ok: false, message, place: lines.placeOf(offset) };
  };
  const deep = tooDeepAt(text);
  if (deep !== undefined) return refuse('it is nested too deep', deep);
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const [first] = errors.sort((a, b) => a.offset - b.offset);
  if (first !== undefined) return refuse(describeError(first, text), first.offset);
  const twice = findTwice(root!);
  if (twice !== undefined) return refuse(`"${twice.value}" is here twice`, twice.offset);
  const placeOf = (path: readonly PropertyKey[]): Place => {
    const known = path.map((part) => (typeof part === 'number' ? part : String(part)));
    for (let length = known.length; length > 0; length--) {
      const node = findNodeAtLocation(root!, known.slice(0, length));
      if (node !== undefined) return lines.placeOf(node.offset);
    }
    return lines.placeOf(root!.offset);
  };
  return { ok: true, value: getNodeValue(root!), placeOf };
}

/** Found when the first place is asked for. */
class LineStarts {
  readonly #text: string;
  #starts: number[] | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  placeOf(offset: number): Place {
    this.#starts ??= [0, ...Array.from(this.#text.matchAll(/\n/g), ({ index }) => index + 1)];
    const after = this.#starts.findIndex((start) => start > offset);
    const line = after < 0 ? this.#starts.length : after;
    return { line, column: offset - this.#starts[line - 1]! + 1 };
  }
}

/** Where a value begins that is nested deeper than any may be. */
function tooDeepAt(text: string): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  while (scanner.getPosition() < text.length) {
    scanner.scan();
    const offset = scanner.getTokenOffset();
    // A text that begins with a bracket begins with its quote.
    const character = scanner.getTokenLength() === 1 ? text[offset] : '';
    if (character === '{' || character === '[') {
      if (++depth > MAX_DEPTH) return offset;
    } else if (character === '}' || character === ']') {
      depth--;
    }
  }
  return undefined;
}

/** The second of two names that are equal in one object: JSON leaves open which of them counts. */
function findTwice(node: Node): Node | undefined {
  const names = new Set<unknown>();
  for (const child of node.children ?? []) {
    const [name] = child.type === 'property' ? (child.children ?? []) : [];
    if (name !== undefined && names.has(name.value)) return name;
    if (name !== undefined) names.add(name.value);
    const inner = findTwice(child);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** By the parser's names. */
const MESSAGES: Readonly<Record<string, string>> = {
  PropertyNameExpected: 'a name in double quotes is missing here',
  ColonExpected: '":" is missing here',
  CommaExpected: '"," is missing, or the bracket that ends this',
  CloseBraceExpected: '"," or "}" is missing',
  CloseBracketExpected: '"," or "]" is missing',
  EndOfFileExpected: 'there is something behind the end',
  UnexpectedEndOfComment: 'this comment does not end',
  UnexpectedEndOfString: 'this text does not end in its line',
  InvalidUnicode: 'this text has an escape that JSON does not allow',
  InvalidEscapeCharacter: 'this text has an escape that JSON does not allow',
  InvalidCharacter: 'this text has a character that JSON does not allow',
};

function describeError({ error, offset, length }: ParseError, text: string): string {
  const message = MESSAGES[printParseErrorCode(error)];
  if (message !== undefined) return message;
  const word = text.slice(offset, offset + Math.min(length, 40));
  if (word === '') return 'a value is missing here';
  return `${word} is no value: names and text go into double quotes`;
}
