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
    const placeOf = (path: readonly PropertyKey[]): Place => {
      for (let length = path.length; length > 0; length--) {
        const offset = reader.offsets.get(keyOf(path.slice(0, length)));
        if (offset !== undefined) return placeIn(text, offset);
      }
      return placeIn(text, reader.offsets.get('') ?? 0);
    };
    return { ok: true, value, placeOf };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { ok: false, message: error.message, place: placeIn(text, error.offset) };
  }
}

function keyOf(path: readonly PropertyKey[]): string {
  return path.join('\n');
}

function placeIn(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return { line, column: offset - before.lastIndexOf('\n') };
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
  /** By path. */
  readonly offsets = new Map<string, number>();
  readonly #text: string;
  #at = 0;
  readonly #path: (string | number)[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value();
    this.#skip();
    if (this.#at < this.#text.length) throw this.#fault('there is something behind the end');
    return value;
  }

  #value(): unknown {
    this.#skip();
    this.offsets.set(keyOf(this.#path), this.#at);
    if (this.#path.length > MAX_DEPTH) throw this.#fault('it is nested too deep');
    const character = this.#text[this.#at];
    if (character === '{') return this.#object();
    if (character === '[') return this.#array();
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

  #object(): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    this.#each('}', () => {
      const start = this.#at;
      if (this.#text[start] !== '"') throw this.#fault('a name in double quotes is missing here');
      const name = this.#string();
      if (entries.has(name)) throw new Fault(`"${name}" is here twice`, start);
      this.#skip();
      if (this.#text[this.#at] !== ':') throw this.#fault(`":" is missing after "${name}"`);
      this.#at++;
      this.#path.push(name);
      entries.set(name, this.#value());
      this.#path.pop();
    });
    return Object.fromEntries(entries);
  }

  #array(): unknown[] {
    const values: unknown[] = [];
    this.#each(']', () => {
      this.#path.push(values.length);
      values.push(this.#value());
      this.#path.pop();
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
