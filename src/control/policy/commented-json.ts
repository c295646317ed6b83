/**
 * JSON (RFC 8259) as people write it: with `//` and `/* *\/` comments and commas after last elements,
 * and with the line and column of every value, so that a fault can be shown where it is.
 */

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

/** Deeper is no policy. */
const MAX_DEPTH = 32;

export function parseCommentedJson(text: string): Parsed {
  const reader = new Reader(text);
  try {
    const value = reader.document();
    const lines = new LineStarts(text);
    const placeOf = (path: readonly PropertyKey[]): Place => {
      let node = reader.root;
      for (const part of path) {
        const child = node.children?.get(part);
        if (child === undefined) break;
        node = child;
      }
      return lines.placeOf(node.offset);
    };
    return { ok: true, value, placeOf };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const place = new LineStarts(text).placeOf(error.offset);
    return { ok: false, message: error.message, place };
  }
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
    const starts = this.#starts;
    let line = 0;
    for (let after = starts.length; line + 1 < after; ) {
      const middle = (line + after) >>> 1;
      if (starts[middle]! <= offset) line = middle;
      else after = middle;
    }
    return { line: line + 1, column: offset - starts[line]! + 1 };
  }
}

/** Where a value is. As a tree: paths as text would repeat long names for all that is in them. */
interface Node {
  readonly offset: number;
  children?: Map<PropertyKey, Node>;
}

const SPACE = /[ \t\r\n]*/y;
const WORD = /[-+.\w]+/y;
const STRING = /"(?:[^"\\\n]|\\[^\n])*"/y;

class Fault extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

class Reader {
  root: Node = { offset: 0 };
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    this.#skip();
    this.root = { offset: this.#at };
    const value = this.#value(this.root, 0);
    this.#skip();
    if (this.#at < this.#text.length) throw this.#fault('there is something behind the end');
    return value;
  }

  /** The value here, which is the node's. */
  #value(node: Node, depth: number): unknown {
    if (depth > MAX_DEPTH) throw this.#fault('it is nested too deep');
    const character = this.#text[this.#at];
    if (character === '{') return this.#object(node, depth);
    if (character === '[') return this.#array(node, depth);
    if (character === '"') return this.#string();
    const word = this.#match(WORD);
    if (word === undefined) throw this.#fault(`${this.#here()} is no value`);
    try {
      const value: unknown = JSON.parse(word);
      this.#at += word.length;
      return value;
    } catch {
      throw this.#fault(`${word} is no value: write text in double quotes`);
    }
  }

  /** The value that comes next, as a part of the node's. */
  #child(node: Node, key: string | number, depth: number): unknown {
    this.#skip();
    const child: Node = { offset: this.#at };
    node.children ??= new Map();
    node.children.set(key, child);
    return this.#value(child, depth + 1);
  }

  #object(node: Node, depth: number): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    this.#each('}', () => {
      const start = this.#at;
      if (this.#text[start] !== '"') throw this.#fault('a name in double quotes is missing here');
      const name = this.#string();
      if (entries.has(name)) throw new Fault(`"${name}" is here twice`, start);
      this.#skip();
      if (this.#text[this.#at] !== ':') throw this.#fault(`":" is missing after "${name}"`);
      this.#at++;
      entries.set(name, this.#child(node, name, depth));
    });
    return Object.fromEntries(entries);
  }

  #array(node: Node, depth: number): unknown[] {
    const values: unknown[] = [];
    this.#each(']', () => {
      values.push(this.#child(node, values.length, depth));
    });
    return values;
  }

  /** Reads what is between the bracket here and the one that ends it. */
  #each(end: '}' | ']', one: () => void): void {
    const start = this.#at++;
    for (;;) {
      this.#skip();
      if (this.#text[this.#at] === end) break;
      if (this.#at >= this.#text.length) throw new Fault(`the "${end}" to this is missing`, start);
      one();
      this.#skip();
      const next = this.#text[this.#at];
      if (next === ',') this.#at++;
      else if (next !== end && next !== undefined) throw this.#fault(`"," or "${end}" is missing`);
    }
    this.#at++;
  }

  #string(): string {
    const start = this.#at;
    const text = this.#match(STRING);
    if (text === undefined) throw this.#fault('this text does not end in its line');
    try {
      const value = JSON.parse(text) as string;
      this.#at = start + text.length;
      return value;
    } catch {
      throw this.#fault('this text has a character or an escape that JSON does not allow');
    }
  }

  /** White space and comments. */
  #skip(): void {
    for (;;) {
      this.#at += this.#match(SPACE)!.length;
      const end = this.#text.startsWith('//', this.#at)
        ? '\n'
        : this.#text.startsWith('/*', this.#at)
          ? '*/'
          : undefined;
      if (end === undefined) return;
      const found = this.#text.indexOf(end, this.#at + 2);
      if (found < 0 && end === '*/') throw this.#fault('this comment does not end');
      this.#at = found < 0 ? this.#text.length : found + end.length;
    }
  }

  /** What a sticky expression finds here. */
  #match(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at;
    return expression.exec(this.#text)?.[0];
  }

  #here(): string {
    const character = this.#text[this.#at];
    return character === undefined ? 'the end' : `"${character}"`;
  }

  #fault(message: string): Fault {
    return new Fault(message, this.#at);
  }
}
