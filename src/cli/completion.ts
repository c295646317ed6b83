/**
 * `connector completion bash|zsh|fish`: a completion script, written from the tree of commands, so
 * that it cannot know less or more than the program.
 */
import { Argument, Command } from 'commander';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

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

interface Node {
  /** Words before it, without the program's name: `tunnel up`. */
  readonly path: string;
  /** What may follow, with its description. */
  readonly words: readonly { readonly word: string; readonly about: string }[];
  /** It takes a configuration file. */
  readonly files: boolean;
  /** It takes the name of a tunnel that is up. */
  readonly tunnels: boolean;
}

/** The script for one shell. */
export function completionScript(program: Command, shell: Shell): string {
  const nodes = collect(program, '');
  switch (shell) {
    case 'bash':
      return bashScript(program.name(), nodes);
    case 'zsh':
      return zshScript(program.name(), nodes);
    case 'fish':
      return fishScript(program.name(), nodes);
  }
}

function collect(command: Command, path: string): Node[] {
  const words: { word: string; about: string }[] = [];
  const names = command.registeredArguments.map((argument) => argument.name());
  for (const child of command.commands)
    words.push({ word: child.name(), about: child.description() });
  for (const argument of command.registeredArguments) {
    for (const choice of argument.argChoices ?? []) {
      words.push({ word: choice, about: argument.description });
    }
  }
  for (const option of command.createHelp().visibleOptions(command)) {
    words.push({ word: option.long ?? option.short ?? '', about: option.description });
  }
  const node = { path, words, files: names.includes('conf'), tunnels: names.includes('name') };
  const children = command.commands.flatMap((child) =>
    collect(child, path === '' ? child.name() : `${path} ${child.name()}`),
  );
  return [node, ...children];
}

/** Names of tunnels that are up, from their sockets; nothing without permission to look. */
const RUNNING = 'ls /run/causeway 2>/dev/null | sed -n "s/\\.sock$//p"';

function bashScript(name: string, nodes: readonly Node[]): string {
  const cases = nodes.map((node) => {
    const words = node.words.map(({ word }) => word).join(' ');
    const more = node.tunnels ? ` $(${RUNNING})` : '';
    const files = node.files
      ? `\n      COMPREPLY+=($(compgen -f -X '!*.conf' -- "$word") $(compgen -d -S / -- "$word"))`
      : '';
    return `    "${node.path}")\n      COMPREPLY=($(compgen -W "${words}${more}" -- "$word"))${files}\n      ;;`;
  });
  return `# bash completion of ${name}
_${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} path="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      -*) ;;
      ${commandNames(nodes)}) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case $path in
${cases.join('\n')}
  esac
}
complete -o filenames -F _${name} ${name}
`;
}

function zshScript(name: string, nodes: readonly Node[]): string {
  const cases = nodes.map((node) => {
    const words = node.words.map(({ word, about }) => zshQuote(`${word}:${about}`)).join(' ');
    const more = node.tunnels ? `\n      compadd -- \${(f)"$(${RUNNING})"}` : '';
    const files = node.files ? "\n      _files -g '*.conf'" : '';
    return `    ${zshQuote(node.path)})\n      items=(${words})\n      _describe '${name}' items${more}${files}\n      ;;`;
  });
  return `#compdef ${name}
_${name}() {
  local path_words="" word
  local -a items
  for word in \${words[2,CURRENT-1]}; do
    case $word in
      -*) ;;
      ${commandNames(nodes)}) path_words="\${path_words:+$path_words }$word" ;;
    esac
  done
  case $path_words in
${cases.join('\n')}
  esac
}
compdef _${name} ${name}
`;
}

function fishScript(name: string, nodes: readonly Node[]): string {
  const lines = [`# fish completion of ${name}`, `complete -c ${name} -f`];
  const all = new Set(nodes.flatMap((node) => node.path.split(' ')).filter((word) => word !== ''));
  for (const node of nodes) {
    const seen = node.path === '' ? [] : node.path.split(' ');
    const children = nodes
      .filter(
        ({ path }) => path !== node.path && path.split(' ').slice(0, -1).join(' ') === node.path,
      )
      .map(({ path }) => path.split(' ').at(-1)!);
    const missing = seen.length === 0 ? [...all] : children;
    const conditions = [
      ...seen.map((word) => `__fish_seen_subcommand_from ${word}`),
      ...(missing.length > 0 ? [`not __fish_seen_subcommand_from ${missing.join(' ')}`] : []),
    ];
    const condition = `-n '${conditions.join('; and ') || 'true'}'`;
    for (const { word, about } of node.words) {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`;
      lines.push(`complete -c ${name} ${condition} ${what} -d ${fishQuote(about)}`);
    }
    if (node.files) lines.push(`complete -c ${name} ${condition} -F`);
    if (node.tunnels) lines.push(`complete -c ${name} ${condition} -a '(${RUNNING})'`);
  }
  return `${lines.join('\n')}\n`;
}

/** A pattern of all words that are commands. */
function commandNames(nodes: readonly Node[]): string {
  const names = nodes.flatMap(({ path }) => path.split(' ')).filter((word) => word !== '');
  return [...new Set(names)].join(' | ');
}

function zshQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
