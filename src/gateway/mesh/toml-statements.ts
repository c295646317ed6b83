/**
 * At which line of a TOML file a key is: the parser tells values, not places. A statement is the
 * fewest lines that parse by themselves, below the table that they stand in. Pure.
 */
import { parse } from 'smol-toml';

/** From `table.key` to the line, counted from 1, where its statement begins. */
export type KeyLines = ReadonlyMap<string, number>;

/** @param text TOML that parses as a whole */
export function keyLines(text: string): KeyLines {
  const lines = new Map<string, number>();
  let table = '';
  let statement = '';
  let begin = 1;
  for (const [index, line] of text.split('\n').entries()) {
    statement += `${line}\n`;
    const isHeader = /^\s*\[/.test(statement) && parses(statement);
    if (isHeader) table = statement;
    const parsed = isHeader ? parses(statement) : parses(table + statement);
    if (parsed === undefined) continue;
    if (/^\s*[^\s#]/.test(statement)) note(parsed, '', begin, lines);
    statement = '';
    begin = index + 2;
  }
  return lines;
}

type Table = Readonly<Record<string, unknown>>;

/** Undefined = the text is no TOML. */
export function parses(text: string): Table | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** A key keeps the line that it was seen at first: those of the table are in every statement. */
function note(table: Table, prefix: string, line: number, lines: Map<string, number>): void {
  for (const [key, value] of Object.entries(table)) {
    const path = prefix + key;
    if (!lines.has(path)) lines.set(path, line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      note(value as Table, `${path}.`, line, lines);
    }
  }
}
