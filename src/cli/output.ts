/** What commands print: JSON for programs, text for people. */

/** @param text what people see, made only if it is needed */
export function print(options: { readonly json?: true }, value: unknown, text: () => string): void {
  process.stdout.write(options.json ? `${JSON.stringify(value, null, 2)}\n` : text());
}

/** For a person; the command goes on. */
export function warn(message: string): void {
  process.stderr.write(`connector: warning: ${message}\n`);
}

/** `1 route`, `2 routes`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
