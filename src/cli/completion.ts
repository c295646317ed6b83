/** `connector completion bash|zsh|fish`, and what of the tree of commands the scripts are written from. */
import { Argument, Command, type Option } from 'commander';
import { bashScript, fishScript, zshScript } from './completion-scripts.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** What may stand in a place: one of some words, a path, the name of an interface of ours, or anything. */
export type Values = readonly string[] | 'file' | '*.conf' | 'interface' | 'any';

/** One command, or a group of them. */
export interface CompletionNode {
  /** Its words without the program's name: `tunnel up`. */
  readonly path: string;
  /** Subcommands and options, with their descriptions. */
  readonly words: readonly { readonly word: string; readonly about: string }[];
  readonly argument: Values;
  readonly options: readonly {
    /** `-c` and `--count`, or one of them. */
    readonly flags: readonly string[];
    /** Undefined: it takes no value. */
    readonly value: Values | undefined;
    readonly about: string;
  }[];
}

export function completionCommand(program: Command): Command {
  return new Command('completion')
    .description('print a completion script for your shell')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  connector completion bash > /etc/bash_completion.d/connector
  connector completion zsh > /usr/share/zsh/site-functions/_connector
  connector completion fish > /etc/fish/completions/connector.fish`,
    )
    .action((shell: Shell) => {
      process.stdout.write(completionScript(program, shell));
    });
}

/** The script for one shell: it cannot know less or more than the program. */
export function completionScript(program: Command, shell: Shell): string {
  const nodes = collect(program, '');
  const write = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell];
  return write(program.name(), nodes);
}

function collect(command: Command, path: string): CompletionNode[] {
  const options = command.createHelp().visibleOptions(command).map(described);
  const words = [
    ...command.commands.map((child) => ({ word: child.name(), about: child.description() })),
    ...options.map(({ flags, about }) => ({ word: flags.at(-1)!, about })),
  ];
  // Of several arguments the first: which one a word is, no script counts.
  const [argument] = command.registeredArguments;
  const node: CompletionNode = {
    ...{ path, words, options },
    argument: argument === undefined ? [] : (argument.argChoices ?? argumentValues(argument)),
  };
  const children = command.commands.flatMap((child) =>
    collect(child, path === '' ? child.name() : `${path} ${child.name()}`),
  );
  return [node, ...children];
}

function described(option: Option): CompletionNode['options'][number] {
  const { short, long, description: about } = option;
  const name = /[<[]([^>\]]*?)(?:\.\.\.)?[>\]]/.exec(option.flags)?.[1];
  const value = name === undefined ? undefined : (option.argChoices ?? valuesOf(name, long));
  const flags = [short, long].filter((flag) => flag !== undefined);
  return { flags, value, about };
}

/** A name that may be left out is that of something there; others are new ones. */
function argumentValues(argument: Argument): Values {
  return argument.name() === 'name' && !argument.required
    ? 'interface'
    : valuesOf(argument.name(), undefined);
}

/** By the name of an argument, or of an option's value. */
function valuesOf(name: string, long: string | undefined): Values {
  if (long === '--interface') return 'interface';
  if (name === 'conf') return '*.conf';
  return /^(file|directory|target)\b/.test(name) ? 'file' : 'any';
}
