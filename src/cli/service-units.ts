/**
 * The systemd units of a gateway and an edge: the one place where they are written. `connector
 * service install` and the Debian package take them from here. docs/packaging.md says what each
 * restriction is there for, and what `systemd-analyze security` makes of them.
 */

export const SERVICES = ['gateway', 'edge'] as const;
export type Service = (typeof SERVICES)[number];

export function unitName(service: Service): string {
  return `causeway-${service}.service`;
}

/** Where an operator puts the join token; it may go when it was used. */
export const TOKEN_FILE = '/etc/causeway/token';
/** Name of the credential that the token becomes for the service, which may not read root's files. */
export const TOKEN_CREDENTIAL = 'join-token';

/** @param program absolute path of `connector` */
export function unitText(service: Service, program: string): string {
  const parts = service === 'gateway' ? gateway(program) : edge(program);
  const { head, run, restrictions, systemCalls } = parts;
  return `${head}
[Unit]
Description=Causeway ${service}
Documentation=man:connector(1)
After=network-online.target
Wants=network-online.target
# What keeps it from starting may pass at any time: it never gives up.
StartLimitIntervalSec=0

[Service]
Type=notify
${run}
# The thread that carries packets answers, or the service is started anew.
WatchdogSec=30
RestartSec=5
DynamicUser=yes
StateDirectoryMode=0700
UMask=0077
LimitNOFILE=65536

${restrictions}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectProc=invisible
PrivateTmp=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
${systemCalls}SystemCallErrorNumber=EPERM
# Not MemoryDenyWriteExecute: Node.js compiles as it runs.

[Install]
WantedBy=multi-user.target
`;
}

interface Parts {
  readonly head: string;
  readonly run: string;
  readonly restrictions: string;
  /** Lines that allow some of those again. */
  readonly systemCalls: string;
}

function gateway(program: string): Parts {
  return {
    head: `# A gateway. What it is to do is in /etc/causeway/connector.toml, the join token of the first start
# in ${TOKEN_FILE} (mode 0600). Changes of this file: \`systemctl edit ${unitName('gateway')}\`.`,
    run: `ExecStart=${program} up --foreground
ExecReload=/bin/sh -c 'kill -HUP $MAINPID'
# \`connector down\` ends it, until it is started again.
Restart=on-failure
StateDirectory=causeway
# For a flow log.
LogsDirectory=causeway
LogsDirectoryMode=0700
# Other tunnels on this host have their sockets there as well.
RuntimeDirectory=causeway wireguard
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
# Without the file it is an empty line, which is no token.
LoadCredential=${TOKEN_CREDENTIAL}:${TOKEN_FILE}
SetCredential=${TOKEN_CREDENTIAL}:\\n`,
    restrictions: `# Interfaces, routes, nftables, and the switches below /proc/sys/net; UDP ports below 1024.
AmbientCapabilities=CAP_NET_ADMIN CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE
# Not ProtectKernelTunables, for those switches; not PrivateDevices, for the TUN device.
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw`,
    systemCalls: `# Control work yields to packets: it lowers its own priority.
SystemCallFilter=setpriority
`,
  };
}

function edge(program: string): Parts {
  return {
    head: `# The edge. Options: EDGE_OPTIONS in /etc/default/causeway-edge, as in
#   EDGE_OPTIONS="--public edge.example.com"`,
    run: `EnvironmentFile=-/etc/default/causeway-edge
ExecStart=${program} edge run $EDGE_OPTIONS
Restart=always
StateDirectory=causeway-edge`,
    restrictions: `# Only for ports below 1024. Not CAP_NET_ADMIN: see packaging/sysctl.d for the buffers.
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
PrivateDevices=yes
ProtectKernelTunables=yes`,
    systemCalls: '',
  };
}
