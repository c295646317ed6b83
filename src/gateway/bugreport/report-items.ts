/** What a report has: commands and files by name, of the mesh, of the kernel, of the service. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_CONFIGURATION_FILE } from '../mesh/settings.ts';
import { RUNTIME_ROOT } from '../runtime-directory.ts';

export type ReportItem =
  | {
      /** In the archive. */
      readonly name: string;
      readonly command: readonly [file: string, ...args: string[]];
      /** Only the last bytes, where it is too long; otherwise the first. */
      readonly tail?: true;
    }
  | { readonly name: string; readonly file: string }
  | { readonly name: string; readonly text: () => string | Promise<string> };

export interface ReportScope {
  readonly interfaceName: string;
  readonly stateDirectory: string;
  /** Of an edge on this host; need not be there. */
  readonly edgeDirectory: string;
  /** Undefined = the one at the default place. */
  readonly configuration: string | undefined;
  /** How this program is started: for its own commands. */
  readonly program: readonly [file: string, ...args: string[]];
}

/** Lines of the service's log. */
const LOG_LINES = '2000';

export function reportItems(scope: ReportScope): ReportItem[] {
  return [
    ...ofMesh(scope),
    ...ofEdge(scope),
    ...ofKernel(scope),
    ...ofFirewall(scope),
    ...ofServices(),
    ...ofHost(),
  ];
}

function ofMesh(scope: ReportScope): ReportItem[] {
  const { interfaceName, stateDirectory, configuration, program } = scope;
  const own = (name: string, ...args: string[]): ReportItem => {
    return { name: `mesh/${name}`, command: [...program, ...args] };
  };
  const where = ['--interface', interfaceName];
  const chosen = configuration === undefined ? [] : ['--config', configuration];
  return [
    own('status.txt', 'status', ...where),
    own('status.json', 'status', ...where, '--json'),
    own('tunnels.json', 'tunnel', 'status', '--json'),
    own('routes.txt', 'routes', 'ls', ...where),
    own('doctor.txt', 'doctor', ...chosen, ...where, '--state-dir', stateDirectory),
    own('config-check.txt', 'config', 'check', configuration ?? DEFAULT_CONFIGURATION_FILE),
    { name: 'mesh/connector.toml', file: configuration ?? DEFAULT_CONFIGURATION_FILE },
    { name: 'mesh/identity.json', file: join(stateDirectory, 'identity.json') },
    { name: 'mesh/netmap.json', file: join(stateDirectory, 'netmap.json') },
    { name: 'mesh/state-directory.txt', command: ['ls', '-la', `${stateDirectory}/`] },
    { name: 'mesh/runtime-directory.txt', command: ['ls', '-laR', `${RUNTIME_ROOT}/`] },
    ...notesOfSetups(),
  ];
}

/** Where there is one on this host. Nothing of its registry but what its commands show. */
function ofEdge({ edgeDirectory, program }: ReportScope): ReportItem[] {
  if (!existsSync(edgeDirectory)) return [];
  const own = (name: string, ...args: string[]): ReportItem => {
    return { name: `edge/${name}`, command: [...program, ...args, '--edge', edgeDirectory] };
  };
  return [
    own('status.txt', 'edge', 'status'),
    own('connectors.txt', 'ls'),
    own('routes.txt', 'routes', 'ls'),
    { name: 'edge/edge.json', file: join(edgeDirectory, 'edge.json') },
    { name: 'edge/options.txt', file: '/etc/default/causeway-edge' },
    { name: 'edge/directory.txt', command: ['ls', '-la', `${edgeDirectory}/`] },
  ];
}

/** What tunnels wrote down of their set-ups. */
function notesOfSetups(): ReportItem[] {
  return filesBelow(RUNTIME_ROOT)
    .filter((path) => path.endsWith('.json'))
    .slice(0, 20)
    .map((path) => ({
      name: `mesh/notes/${path.replaceAll('/', '_')}`,
      file: join(RUNTIME_ROOT, path),
    }));
}

function ofKernel({ interfaceName }: ReportScope): ReportItem[] {
  const ip = (name: string, ...args: string[]): ReportItem => {
    return { name: `network/${name}.txt`, command: ['ip', ...args] };
  };
  return [
    ip('addresses', '-d', 'address', 'show'),
    ip('links', '-d', '-s', 'link', 'show'),
    ip('rules4', '-4', 'rule', 'show'),
    ip('rules6', '-6', 'rule', 'show'),
    ip('routes4', '-4', 'route', 'show', 'table', 'all'),
    ip('routes6', '-6', 'route', 'show', 'table', 'all'),
    ip('neighbours', 'neighbour', 'show'),
    { name: 'network/offloads.txt', command: ['ethtool', '-k', interfaceName] },
    { name: 'network/udp-sockets.txt', command: ['ss', '-ulnpm'] },
    { name: 'network/resolv.conf', file: '/etc/resolv.conf' },
    { name: 'network/sysctl.txt', command: ['sysctl', '-a', '-r', SETTINGS] },
    { name: 'network/snmp.txt', file: '/proc/net/snmp' },
    { name: 'network/softnet.txt', file: '/proc/net/softnet_stat' },
  ];
}

/** Of the kernel's settings, those that decide whether and how packets are forwarded. */
const SETTINGS = [
  '^net\\.ipv4\\.(ip_forward|ip_no_pmtu_disc|tcp_mtu_probing|fwmark_reflect)$',
  '^net\\.ipv[46]\\.conf\\..*\\.(forwarding|rp_filter|send_redirects|accept_redirects|accept_ra|src_valid_mark|disable_ipv6|mtu)$',
  '^net\\.ipv6\\.route\\.(max_size|mtu_expires)$',
  '^net\\.core\\.(rmem_max|wmem_max|rmem_default|netdev_max_backlog|default_qdisc)$',
  '^net\\.netfilter\\.nf_conntrack_(max|count|acct|tcp_be_liberal|tcp_loose)$',
].join('|');

/** Our tables whole; of the others where they hook in, which is what decides. */
function ofFirewall({ interfaceName }: ReportScope): ReportItem[] {
  return [
    { name: 'firewall/tables.txt', command: ['nft', 'list', 'tables'] },
    { name: 'firewall/chains.txt', command: ['nft', 'list', 'chains'] },
    {
      name: 'firewall/own-tables.txt',
      command: ['sh', '-c', OWN_TABLES, 'sh', interfaceName],
    },
    { name: 'firewall/iptables-policies.txt', command: ['sh', '-c', POLICIES] },
  ];
}

/** `nft` cannot list tables by a pattern. */
const OWN_TABLES =
  'nft list tables | grep -E \'^table inet causeway-\' | while read -r _ family name; do nft list table "$family" "$name"; done';

/** Of iptables, without loading its modules where nobody uses it: to list would be to add hooks. */
const POLICIES = [
  'list() { command -v "$1" >/dev/null || return 0; echo "== $1"; "$1" -S | grep -E "^-[PN]"; }',
  'list iptables-nft; list ip6tables-nft',
  'grep -qs filter /proc/net/ip_tables_names && list iptables-legacy',
  'grep -qs filter /proc/net/ip6_tables_names && list ip6tables-legacy',
  'true',
].join('\n');

function ofServices(): ReportItem[] {
  return ['causeway-gateway', 'causeway-edge'].flatMap((name): ReportItem[] => {
    const unit = `${name}.service`;
    const folder = `service/${name}`;
    return [
      { name: `${folder}/unit.txt`, command: ['systemctl', 'cat', '--no-pager', unit] },
      { name: `${folder}/status.txt`, command: ['systemctl', 'show', '--no-pager', unit] },
      {
        name: `${folder}/log.txt`,
        command: ['journalctl', '--no-pager', '-o', 'short-iso', '-n', LOG_LINES, '-u', unit],
        tail: true,
      },
    ];
  });
}

function ofHost(): ReportItem[] {
  return [
    { name: 'host/os-release.txt', file: '/etc/os-release' },
    { name: 'host/kernel.txt', command: ['uname', '-a'] },
    { name: 'host/time.txt', command: ['date', '--utc', '--iso-8601=seconds'] },
    { name: 'host/memory.txt', file: '/proc/meminfo' },
    { name: 'host/load.txt', file: '/proc/loadavg' },
    { name: 'host/processors.txt', command: ['lscpu'] },
    { name: 'host/virtualization.txt', command: ['systemd-detect-virt'] },
    { name: 'host/modules.txt', file: '/proc/modules' },
    { name: 'host/processes.txt', command: ['sh', '-c', PROCESSES] },
    { name: 'host/programs.txt', command: ['sh', '-c', PROGRAMS] },
  ];
}

/** Ours alone; others' command lines are nobody's business. */
const PROCESSES =
  "ps -eo pid,ppid,user,etime,time,rss,nlwp,args | grep -E '^ *PID|connector' | grep -v grep";

const PROGRAMS = [
  'version() { command -v "$1" >/dev/null && { echo "== $*"; "$@" 2>&1 | head -2; }; }',
  'version ip -V; version nft --version; version iptables --version; version systemctl --version',
  'version wg --version; version tcpdump --version; version ufw version; version firewall-cmd --version',
  'true',
].join('\n');

function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
}
