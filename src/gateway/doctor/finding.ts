/**
 * What a check of this host, or of a gateway on it, found. `connector status` shows those that are
 * problems or warnings, `connector doctor` all of them; nobody else writes sentences about what is
 * wrong. Pure.
 */

/** What is looked at, in the order in which it is told: a packet cannot flow without the earlier ones. */
export const CHECKS = {
  programs: 'ip, nft, the addon',
  permission: 'root or capabilities',
  tun: '/dev/net/tun',
  configuration: 'configuration file',
  state: 'state directory',
  identity: 'who this gateway is',
  daemon: 'the gateway runs',
  clock: "the edge's clock and ours",
  api: "the edge's API",
  relay: "the edge's relay, by UDP",
  netmap: 'what the edge sent',
  policy: 'policy in force',
  routes: 'table, rules, routes in the kernel',
  conflicts: 'local subnets and remote routes',
  advertised: 'prefixes of this site at the edge',
  lan: 'prefixes of this site here',
  forwarding: 'ip_forward, IPv6 forwarding',
  'accept-ra': 'IPv6 default route while forwarding',
  'reverse-path': 'rp_filter',
  redirects: 'ICMP redirects',
  firewall: 'chains that see forwarded packets',
  'firewall-own': "chains that see the gateway's own packets",
  nat: 'true addresses of what is forwarded',
  conntrack: "table of the kernel's connections",
  mtu: 'MTU of the way out',
  'path-mtu': 'MTU of the paths to peers',
  peers: 'other connectors',
  breakout: 'by whom Internet traffic leaves',
  'one-way': 'traffic that is not answered',
  'flow-log': 'records of connections',
  diagnosis: 'questions of other gateways',
} as const;

export type CheckName = keyof typeof CHECKS;

export const CHECK_NAMES = Object.keys(CHECKS) as CheckName[];

export const STATUSES = ['ok', 'warning', 'problem', 'skipped'] as const;

/** A warning lets traffic flow, or most of it; a skipped check could not be made, and says why. */
export type CheckStatus = (typeof STATUSES)[number];

/** A step that `doctor --fix` takes: safe, and undone by the other command. */
export interface Fix {
  readonly command: readonly string[];
  readonly undo: readonly string[];
}

export interface Finding {
  readonly check: CheckName;
  readonly status: CheckStatus;
  /** One or two sentences: what is so, what it does to traffic, what to do where no command does it. */
  readonly says: string;
  /** Commands for a root shell that put it right. */
  readonly remedy: readonly string[];
  /** The remedy as steps that `doctor --fix` may take by itself; empty if it is a person's decision. */
  readonly fixes: readonly Fix[];
}

export function ok(check: CheckName, says: string): Finding {
  return { check, status: 'ok', says, remedy: [], fixes: [] };
}

export function skipped(check: CheckName, says: string): Finding {
  return { check, status: 'skipped', says, remedy: [], fixes: [] };
}

export function warning(check: CheckName, says: string, ...remedy: string[]): Finding {
  return { check, status: 'warning', says, remedy, fixes: [] };
}

export function problem(check: CheckName, says: string, ...remedy: string[]): Finding {
  return { check, status: 'problem', says, remedy, fixes: [] };
}

/** The same with a remedy that `doctor --fix` applies. */
export function fixable(finding: Finding, fixes: readonly Fix[]): Finding {
  return { ...finding, remedy: fixes.map(({ command }) => command.join(' ')), fixes };
}

/** More than this in a paragraph, and nobody can read or copy them. */
const MOST_COMMANDS = 2;

/** What is wrong, with its remedy, in one paragraph. */
export function sentenceOf({ says, remedy }: Pick<Finding, 'says' | 'remedy'>): string {
  if (remedy.length === 0) return says;
  if (remedy.length > MOST_COMMANDS) {
    return `${says} \`connector doctor\` shows the ${remedy.length} commands that put it right.`;
  }
  return `${says} ${remedy.map((command) => `\`${command}\``).join(', ')}.`;
}

/** Of a check that something is wrong with, no word that all is well from another who looked at a part. */
export function withoutContradiction(findings: readonly Finding[]): Finding[] {
  const wrong = new Set(faultsOf(findings).map(({ check }) => check));
  return findings.filter(({ check, status }) => status !== 'ok' || !wrong.has(check));
}

/** Those that are wrong, the gravest first. */
export function faultsOf(findings: readonly Finding[]): Finding[] {
  const rank = { problem: 0, warning: 1, ok: 2, skipped: 2 } as const;
  return findings
    .filter(({ status }) => rank[status] < 2)
    .toSorted((a, b) => rank[a.status] - rank[b.status]);
}
