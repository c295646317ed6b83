/** Tables for people: columns two spaces apart, at most 80 wide, the last column wrapped. */

export const WIDTH = 80;
const GAP = '  ';
/** Even where it does not fit: narrower is not readable. */
const MIN_LAST_WIDTH = 16;

/**
 * @param heads titles of the columns
 * @param rows as many cells each
 * @returns lines with their ends; the heads alone are not printed
 */
export function formatTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  if (rows.length === 0) return '';
  const all = [heads, ...rows];
  const last = heads.length - 1;
  const widths = heads.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0);
  const room = Math.max(MIN_LAST_WIDTH, WIDTH - before);
  const lines = all.flatMap((row) => {
    const start = row
      .slice(0, last)
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join(GAP);
    const margin = last === 0 ? '' : GAP;
    return wrap(row[last]!, room).map((part, i) =>
      `${i === 0 ? start : ' '.repeat(start.length)}${margin}${part}`.trimEnd(),
    );
  });
  return `${lines.join('\n')}\n`;
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
