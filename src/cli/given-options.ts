/** Options that are on the command line itself, without the defaults of the others. */
import type { Command } from 'commander';

export function givenOptions<T extends object>(options: T, command: Command): Partial<T> {
  const entries = Object.entries(options);
  return Object.fromEntries(
    entries.filter(([name]) => command.getOptionValueSource(name) === 'cli'),
  ) as Partial<T>;
}
