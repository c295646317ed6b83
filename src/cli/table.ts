/**
 * Tables for people: columns two spaces apart, at most 80 wide. What does not fit makes the widest
 * columns narrower, whose cells go on in the next lines.
 */

export const WIDTH = 80;
const GAP = '  ';
/** Narrower is not readable. */
const MIN_WIDTH = 6;

export interface TableOptions {
  /** Indexes of columns that are for copying, ids for example: they are never broken. */
  readonly whole?: readonly number[];
}

/**
 * @param heads titles of the columns
 * @param rows as many cells each
 * @returns lines with their ends; the heads alone are not printed
 */
export function formatTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  { whole = [] }: TableOptions = {},
): string {
  if (rows.length === 0) return '';
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...rows.map((row) => row[i]!.length)),
  );
  fitInto(WIDTH - GAP.length * (heads.length - 1), widths, heads, whole);
  const lines = [heads, ...rows].flatMap((row) => {
    const cells = row.map((cell, i) => wrapCell(cell, widths[i]!));
    const height = Math.max(...cells.map((parts) => parts.length));
    return Array.from({ length: height }, (_, line) =>
      cells
        .map((parts, i) => (parts[line] ?? '').padEnd(widths[i]!))
        .join(GAP)
        .trimEnd(),
    );
  });
  return `${lines.join('\n')}\n`;
}

/** Takes from the widest columns until all are within the room, or none can be narrower. */
function fitInto(
  room: number,
  widths: number[],
  heads: readonly string[],
  whole: readonly number[],
): void {
  const least = widths.map((width, i) => {
    return whole.includes(i) ? width : Math.min(width, Math.max(heads[i]!.length, MIN_WIDTH));
  });
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  while (excess > 0) {
    const able = widths.map((width, i) => (width > least[i]! ? width : 0));
    const widest = Math.max(...able);
    if (widest === 0) return;
    const at = able.indexOf(widest);
    // Down to the next one, and never below the least.
    const next = Math.max(0, ...able.filter((width) => width < widest));
    const less = Math.min(excess, Math.max(1, widest - Math.max(next, least[at]!)));
    widths[at]! -= less;
    excess -= less;
  }
}

/** At spaces; a longer word behind one of its own separators, or where the line ends. */
function wrapCell(text: string, width: number): string[] {
  const pieces = text.split(' ').flatMap((word) => {
    const parts: string[] = [];
    let rest = word;
    while (rest.length > width) {
      const separator = /^.*[-:./,_@]/.exec(rest.slice(0, width))?.[0].length ?? 0;
      const end = separator > width / 2 ? separator : width;
      parts.push(rest.slice(0, end));
      rest = rest.slice(end);
    }
    return [...parts, rest];
  });
  return wrap(pieces.join(' '), width);
}

/** Labels and values below each other; a list continues under its beginning. */
export function formatFields(fields: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...fields.map(([label]) => label.length)) + 1;
  const lines = fields.flatMap(([label, value]) =>
    value.split('\n').flatMap((line, i) =>
      wrap(line, WIDTH - width - GAP.length).map((part, k) => {
        const name = i === 0 && k === 0 ? `${label}:` : '';
        return `${name.padEnd(width)}${GAP}${part}`.trimEnd();
      }),
    ),
  );
  return `${lines.join('\n')}\n`;
}

/** Breaks at spaces; a word longer than the width stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}
