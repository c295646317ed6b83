/**
 * Completion scripts of bash, zsh and fish. In the first two, the words before the cursor lead from
 * command to command as far as there is one; the word right before it may be an option that takes a value.
 */
import type { CompletionNode, Values } from './completion.ts';

/** Names of interfaces that are up, from their sockets; nothing without permission to look. */
const INTERFACES = 'ls /run/wireguard 2>/dev/null | sed -n "s/\\.sock\\$//p"';

export function bashScript(name: string, nodes: readonly CompletionNode[]): string {
  const values = nodes.flatMap(({ path, options }) =>
    options.flatMap(({ flags, value }) =>
      value === undefined
        ? []
        : [
            `    ${flags.map((flag) => `"${path} ${flag}"`).join(' | ')}) ${bashValues(value)}; return ;;`,
          ],
    ),
  );
  const cases = nodes.map(({ path, words, argument }) => {
    const known = words.map(({ word }) => word).join(' ');
    const more =
      argument.length === 0 || argument === 'any' ? '' : `\n      ${bashValues(argument)}`;
    return `    "${path}")\n      COMPREPLY=($(compgen -W "${known}" -- "$word"))${more}\n      ;;`;
  });
  return `# bash completion of ${name}
_${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${path:+$path }\${COMP_WORDS[i]}" in
      ${paths(nodes)}) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$path $before" in
${values.join('\n')}
  esac
  case $path in
${cases.join('\n')}
  esac
}
complete -F _${name} ${name}
`;
}

/** A command that adds to COMPREPLY. */
function bashValues(values: Values): string {
  const files = (pattern: string): string =>
    `compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen ${pattern} -- "$word"))`;
  switch (values) {
    case 'any':
      return ':';
    case 'file':
      return files('-f');
    case '*.conf':
      return `${files("-f -X '!*.conf'")}; COMPREPLY+=($(compgen -d -- "$word"))`;
    case 'interface':
      return `COMPREPLY+=($(compgen -W "$(${INTERFACES})" -- "$word"))`;
    default:
      return `COMPREPLY+=($(compgen -W "${values.join(' ')}" -- "$word"))`;
  }
}

export function zshScript(name: string, nodes: readonly CompletionNode[]): string {
  const values = nodes.flatMap(({ path, options }) =>
    options.flatMap(({ flags, value }) =>
      value === undefined
        ? []
        : [
            `    ${flags.map((flag) => `"${path} ${flag}"`).join('|')}) ${zshValues(value)}; return ;;`,
          ],
    ),
  );
  const cases = nodes.map(({ path, words, argument }) => {
    const items = words.map(({ word, about }) => shellQuote(`${word}:${about}`)).join(' ');
    const more =
      argument.length === 0 || argument === 'any' ? '' : `\n      ${zshValues(argument)}`;
    return `    ${shellQuote(path)})\n      items=(${items})\n      _describe '${name}' items${more}\n      ;;`;
  });
  return `#compdef ${name}
_${name}() {
  local path_words="" word
  local -a items
  for word in \${words[2,CURRENT-1]}; do
    case "\${path_words:+$path_words }$word" in
      ${paths(nodes)}) path_words="\${path_words:+$path_words }$word" ;;
    esac
  done
  case "$path_words \${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  case $path_words in
${cases.join('\n')}
  esac
}
compdef _${name} ${name}
`;
}

function zshValues(values: Values): string {
  switch (values) {
    case 'any':
      return ':';
    case 'file':
      return '_files';
    case '*.conf':
      return "_files -g '*.conf'";
    case 'interface':
      return `compadd -- \${(f)"$(${INTERFACES})"}`;
    default:
      return `compadd -- ${values.join(' ')}`;
  }
}

export function fishScript(name: string, nodes: readonly CompletionNode[]): string {
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
    const line = `complete -c ${name} -n '${conditions.join('; and ') || 'true'}'`;
    const commands = node.words.filter(({ word }) => !word.startsWith('-'));
    for (const { word, about } of commands) lines.push(`${line} -a ${word} -d ${fishQuote(about)}`);
    for (const { flags, value, about } of node.options) {
      const named = flags.map((flag) =>
        flag.startsWith('--') ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`,
      );
      const taken =
        value === undefined ? '' : `${isPath(value) ? ' -r' : ' -x'}${fishValues(value)}`;
      lines.push(`${line}${named.join('')}${taken} -d ${fishQuote(about)}`);
    }
    if (node.argument.length > 0 && node.argument !== 'any')
      lines.push(`${line}${fishValues(node.argument)}`);
  }
  return `${lines.join('\n')}\n`;
}

const isPath = (values: Values): boolean => values === 'file' || values === '*.conf';

function fishValues(values: Values): string {
  switch (values) {
    case 'any':
      return '';
    case 'file':
    case '*.conf':
      return ' -F';
    case 'interface':
      return ` -a '(${INTERFACES})'`;
    default:
      return ` -a '${values.join(' ')}'`;
  }
}

/** A pattern of all commands. */
function paths(nodes: readonly CompletionNode[]): string {
  return nodes
    .filter(({ path }) => path !== '')
    .map(({ path }) => `"${path}"`)
    .join(' | ');
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
