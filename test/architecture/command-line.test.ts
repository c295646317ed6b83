/**
 * The tree of commands, its help texts and docs/cli.md: every command and every option is on the
 * page, and whatever the program says of itself fits into a terminal of 80 columns.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/connector-program.ts';
import { buildWgProgram } from '../../src/cli/connector-wg-program.ts';

const COLUMNS = 80;
const page = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');

const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
const title = (command: Command): string =>
  command.parent ? `${title(command.parent)} ${command.name()}` : command.name();
const commands = [buildProgram(), buildWgProgram()]
  .flatMap(all)
  .map((command) => [title(command), command] as const);
const leaves = commands.filter(([, command]) => command.commands.length === 0);

/** What `--help` prints, with what is added after it. */
function help(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => COLUMNS,
  });
  command.outputHelp();
  return text;
}

/** Lines of the page that show how commands are called: code, indented by four spaces or fenced. */
const usage = page
  .split('\n')
  .filter((line) => line.startsWith('    '))
  .map((line) => line.trim());

/** Whether a line such as `connector vnets  add NAME | ls` is about this command. */
function shows(line: string, name: string): boolean {
  const words = name.split(' ');
  const prefix = new RegExp(`^${words.slice(0, -1).join(' +')}`);
  const last = new RegExp(`(^| )${words.at(-1)}( |$)`);
  const found = words.length > 1 ? prefix.exec(line) : [''];
  return found !== null && last.test(line.slice(found[0]!.length));
}

test.each(leaves)('%s is in docs/cli.md', (name) => {
  expect(usage.filter((line) => shows(line, name))).not.toEqual([]);
});

test.each(leaves)('the options of %s are in docs/cli.md', (_, command) => {
  const isThere = (word?: string): boolean =>
    word !== undefined && new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(page);
  const missing = command.options.filter(
    ({ hidden, long, short }) => !hidden && !isThere(long) && !isThere(short),
  );
  expect(missing.map(({ flags }) => flags)).toEqual([]);
});

test.each(commands)('--help of %s fits into 80 columns', (_, command) => {
  const lines = help(command).split('\n');
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.filter((line) => line.length > COLUMNS)).toEqual([]);
});

test.each(commands)('%s and each of its options is described', (_, command) => {
  expect(command.description()).not.toBe('');
  for (const option of command.options)
    expect([option.flags, option.description]).not.toContain('');
});
