/** A manual page (man(7)) of a program, written from its tree of commands. */
import type { Command } from 'commander';

/** @param date of the page, `2026-01-31` */
export function manPage(program: Command, date: string): string {
  const name = program.name();
  const lines = [
    `.TH ${name.toUpperCase()} 1 ${date} "causeway ${program.version() ?? ''}" "Causeway"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(firstLower(program.description()).replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    ...leaves(program).flatMap((command) => [
      '.br',
      `.B ${roff(title(command))}`,
      roff(usage(command)),
    ]),
    ...optionLines('.SH OPTIONS', program),
    ...(program.commands.length > 0 ? ['.SH COMMANDS'] : []),
    ...leaves(program)
      .filter((command) => command !== program)
      .flatMap((command) => [
        `.SS ${roff(title(command))} ${roff(usage(command))}`,
        roff(command.description()),
        ...optionLines(undefined, command),
      ]),
    ...trailer(program),
    '.SH SEE ALSO',
    'The pages in /usr/share/doc/causeway: quickstart, cli, operations, troubleshooting, errors, drops, packaging.',
  ];
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}

/** Commands that do something, in their order. */
function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function title(command: Command): string {
  return command.parent === null ? command.name() : `${title(command.parent)} ${command.name()}`;
}

function usage(command: Command): string {
  const options = command.options.length > 0 ? ['[options]'] : [];
  const names = command.registeredArguments.map((argument) => {
    const dots = argument.variadic ? '...' : '';
    return argument.required ? `<${argument.name()}${dots}>` : `[${argument.name()}${dots}]`;
  });
  return [...options, ...names].join(' ');
}

function optionLines(heading: string | undefined, command: Command): string[] {
  const help = command.createHelp();
  const options = command.options.filter(({ hidden }) => !hidden);
  if (options.length === 0) return [];
  const shown = options.flatMap((option) => [
    '.TP',
    `.B ${roff(help.optionTerm(option))}`,
    roff(help.optionDescription(option)),
  ]);
  return [...(heading === undefined ? [] : [heading]), ...shown];
}

/** What the help says below the options: the environment, and what follows it as notes. */
function trailer(program: Command): string[] {
  const written: string[] = [];
  const listening = program.configureOutput();
  program.configureOutput({ writeOut: (text) => void written.push(text) });
  program.outputHelp();
  program.configureOutput(listening);
  const [, after] = written.join('').split('\nEnvironment:\n');
  if (after === undefined) return [];
  const lines = after.trimEnd().split('\n');
  const end = lines.findIndex((line) => !line.startsWith('  '));
  const variables = (end < 0 ? lines : lines.slice(0, end)).map((line) => line.trim());
  const notes = end < 0 ? [] : lines.slice(end).filter((line) => line !== '');
  return [
    '.SH ENVIRONMENT',
    ...variables.flatMap((line) => {
      const [name, about] = line.split(/ {2,}/) as [string, string];
      return ['.TP', `.B ${roff(name)}`, roff(about)];
    }),
    ...(notes.length > 0 ? ['.SH NOTES', ...notes.flatMap(note)] : []),
  ];
}

/** A sentence, or an example: those are indented. */
function note(line: string): string[] {
  return line.startsWith('  ')
    ? ['.RS', '.nf', roff(line.trim()), '.fi', '.RE']
    : ['.PP', roff(line)];
}

/** Literally: hyphens stay hyphens, and no line is a request. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');
}

function firstLower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
