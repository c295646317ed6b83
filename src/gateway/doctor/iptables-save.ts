/**
 * Reads what `iptables-save` and `ip6tables-save` print. Options that are not known here make their
 * rule one that matches perhaps; targets that are no verdict (LOG, MARK, TCPMSS, …) go on to the next
 * rule. Pure.
 */
import {
  any,
  type FilterChain,
  type FilterRule,
  MAYBE,
  type Matcher,
  matchesAddress,
  matchesInterface,
  not,
  type Ternary,
  type Verdict,
} from './filter-model.ts';
import { protocolNumber } from './protocol-numbers.ts';

const HOOKS: Readonly<Record<string, string>> = {
  PREROUTING: 'prerouting',
  INPUT: 'input',
  FORWARD: 'forward',
  OUTPUT: 'output',
  POSTROUTING: 'postrouting',
};

interface Chain extends Omit<FilterChain, 'rules'> {
  readonly rules: FilterRule[];
}

export function parseIptablesSave(
  text: string,
  family: 4 | 6,
  tool: 'iptables' | 'iptables-legacy',
): FilterChain[] {
  const chains = new Map<string, Chain>();
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const declared = /^:(\S+) (\S+)/.exec(line);
    if (declared) {
      const [, name = '', policy] = declared;
      chains.set(`${table} ${name}`, {
        tool,
        family: family === 4 ? 'ip' : 'ip6',
        table,
        name,
        hook: HOOKS[name],
        type: table === 'nat' ? 'nat' : 'filter',
        policy: policy === '-' ? undefined : policy === 'DROP' ? 'drop' : 'accept',
        rules: [],
      });
    }
    const appended = /^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$/.exec(line);
    if (appended) {
      const [, name = '', rule = ''] = appended;
      chains.get(`${table} ${name}`)?.rules.push(parseRule(rule, `-A ${name} ${rule}`));
    }
  }
  return [...chains.values()];
}

interface Word {
  readonly text: string;
  /** In quotes: never an option, whatever it looks like. */
  readonly quoted: boolean;
}

/** Words of a rule; a comment in quotes is one. */
function wordsOf(text: string): Word[] {
  return [...text.matchAll(/"((?:\\.|[^"\\])*)"|(\S+)/g)].map(([, quoted, plain]) => {
    return { text: quoted ?? plain!, quoted: quoted !== undefined };
  });
}

/** Options whose value says nothing about what is matched. */
const WITHOUT_MEANING = new Set(['--comment', '-m', '--match', '--reject-with', '--dir']);
const VERDICTS: Readonly<Record<string, Verdict | undefined>> = {
  ACCEPT: { kind: 'accept' },
  DROP: { kind: 'drop' },
  REJECT: { kind: 'drop' },
  RETURN: { kind: 'return' },
};
const REWRITES = /^(DNAT|MASQUERADE|NETMAP|REDIRECT|SNAT)$/;
/** Names of chains are the operator's; those of other targets are in capitals by custom. */
const NOT_A_CHAIN =
  /^(AUDIT|CHECKSUM|CLASSIFY|CLUSTERIP|CONNMARK|CONNSECMARK|CT|DNPT|DSCP|ECN|HL|HMARK|IDLETIMER|LED|LOG|MARK|NFLOG|NOTRACK|RATEEST|SECMARK|SET|SNPT|SYNPROXY|TCPMSS|TCPOPTSTRIP|TEE|TOS|TPROXY|TRACE|TTL|ULOG)$/;

function beginsOption({ text, quoted }: Word): boolean {
  return !quoted && (text === '!' || /^--?[a-zA-Z]/.test(text));
}

/** @param line the same with its chain, as the tool takes it */
function parseRule(text: string, line: string): FilterRule {
  const words = wordsOf(text);
  const matchers: Matcher[] = [];
  let verdict: Verdict | undefined;
  for (let i = 0; i < words.length; ) {
    const negated = words[i]!.text === '!';
    const start = negated ? i + 2 : i + 1;
    const option = words[start - 1]?.text ?? '';
    let end = start;
    while (end < words.length && !beginsOption(words[end]!)) end++;
    const value = words[start]?.text ?? '';
    i = Math.max(end, start);
    if (option === '-j') {
      verdict = targetOf(value, line);
      // What follows are options of the target.
      if (verdict?.kind !== 'jump') break;
    } else if (option === '-g') {
      verdict = { kind: 'goto', chain: value };
    } else if (!WITHOUT_MEANING.has(option)) {
      const matcher = matcherOf(option, value);
      matchers.push(negated ? (packet) => not(matcher(packet)) : matcher);
    }
  }
  return { matchers, verdict };
}

function targetOf(name: string, line: string): Verdict | undefined {
  if (REWRITES.test(name)) return { kind: 'rewrite', rule: line };
  return VERDICTS[name] ?? (NOT_A_CHAIN.test(name) ? undefined : { kind: 'jump', chain: name });
}

function matcherOf(option: string, value: string): Matcher {
  switch (option) {
    case '-i':
      return (packet) => matchesInterface(packet.in, value, '+');
    case '-o':
      return (packet) => matchesInterface(packet.out, value, '+');
    case '-s':
      return (packet) => matchesAddress(packet.source, value);
    case '-d':
      return (packet) => matchesAddress(packet.destination, value);
    case '-p':
      return (packet) => sameNumber(packet.protocol, protocolNumber(value));
    case '--ctstate':
    case '--state':
      return (packet) => any(value.split(',').map((state) => matchesState(packet.state, state)));
    case '--pol':
      // A probe stands for packets that IPsec has nothing to do with.
      return () => (value === 'none' ? 'yes' : 'no');
    case '--dport':
      return (packet) => inPorts(packet.destinationPort, value);
    case '--sport':
      return (packet) => inPorts(packet.sourcePort, value);
    default:
      return MAYBE;
  }
}

function matchesState(state: string, name: string): Ternary {
  return name.toLowerCase() === state ? 'yes' : 'no';
}

function sameNumber(known: number | undefined, wanted: number | undefined): Ternary {
  if (known === undefined || wanted === undefined) return 'maybe';
  return known === wanted ? 'yes' : 'no';
}

/** `53` or `1024:65535`. */
function inPorts(port: number | undefined, text: string): Ternary {
  const range = /^(\d+)(?::(\d+))?$/.exec(text);
  if (port === undefined || range === null) return 'maybe';
  const first = Number(range[1]);
  const last = Number(range[2] ?? range[1]);
  return port >= first && port <= last ? 'yes' : 'no';
}
