/**
 * Servers that people have, in a namespace and with their files in its folder: what they log of
 * their clients is what the far side of a tunnel sees. Each in a session of its own (`setsid` keeps
 * the pid), because both signal their whole process group.
 */
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import type { Process } from './process.ts';

/** A directory of a namespace's folder that any user may enter, and its owner write to. */
function directory(namespace: Namespace, name: string, mode = 0o755): string {
  const path = join(namespace.folder, name);
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
  return path;
}

export interface FileServer {
  readonly process: Process;
  /** Where the files lie that it serves. */
  readonly files: string;
  /** What it has logged so far. */
  log(): string;
}

/** An anonymous FTP server (vsftpd) that opens data connections from port 20, or from a range when passive. */
export async function startFtp(
  namespace: Namespace,
  passive: readonly [number, number],
): Promise<FileServer> {
  const root = directory(namespace, 'ftp');
  const files = directory(namespace, 'ftp/files', 0o777);
  const empty = directory(namespace, 'empty');
  const logFile = join(namespace.folder, 'vsftpd.log');
  const settings = {
    listen: 'YES',
    background: 'NO',
    // Neither a network of their own for its children, nor a list of system calls older than the kernel.
    isolate_network: 'NO',
    isolate: 'NO',
    seccomp_sandbox: 'NO',
    anonymous_enable: 'YES',
    local_enable: 'NO',
    no_anon_password: 'YES',
    anon_root: root,
    write_enable: 'YES',
    anon_upload_enable: 'YES',
    anon_umask: '022',
    secure_chroot_dir: empty,
    connect_from_port_20: 'YES',
    pasv_min_port: passive[0],
    pasv_max_port: passive[1],
    xferlog_enable: 'YES',
    xferlog_std_format: 'NO',
    vsftpd_log_file: logFile,
  };
  const text = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  const process = namespace.start([
    'setsid',
    'vsftpd',
    namespace.file('vsftpd.conf', text.join('')),
  ]);
  await listens(namespace, 21, process);
  return { process, files, log: () => readFileSync(logFile, 'utf8') };
}

/** A file server for guests (smbd) with one share, `files`. */
export async function startSmb(
  namespace: Namespace,
): Promise<FileServer & { readonly settings: string }> {
  const files = directory(namespace, 'share', 0o777);
  const state = directory(namespace, 'samba');
  const logFile = join(namespace.folder, 'smbd.log');
  const settings = namespace.file(
    'smb.conf',
    `[global]
server role = standalone server
map to guest = Bad User
guest account = nobody
smb ports = 445
load printers = no
disable spoolss = yes
rpc start on demand helpers = no
log level = 2
log file = ${logFile}
pid directory = ${state}
lock directory = ${state}
state directory = ${state}
cache directory = ${state}
private dir = ${state}
ncalrpc dir = ${state}/ncalrpc
[files]
path = ${files}
guest ok = yes
# Only root gets to the lab's folders.
force user = root
read only = no
`,
  );
  // Without the socket that is its standard input here: it takes that for a client.
  const smbd = `exec setsid smbd --foreground --no-process-group --configfile='${settings}' </dev/null`;
  const process = namespace.start(['sh', '-c', smbd]);
  await listens(namespace, 445, process);
  return { process, files, settings, log: () => readFileSync(logFile, 'utf8') };
}

/** Waits until a program listens on a TCP port; fails at once if it ends. */
export async function listens(
  namespace: Namespace,
  port: number,
  process: Process,
  seconds = 20,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  const look = ['ss', '-Htln', 'sport', '=', `:${port}`];
  while ((await namespace.run(look)) === '') {
    if (!process.running || performance.now() > deadline) {
      const lines = process.lines.join('\n');
      throw new Error(`${namespace.label}: nothing listens on port ${port}\n${lines}`);
    }
  }
}

/** The source addresses of the UDP or TCP packets that came to a port, as the host's kernel saw them. */
export class Sources {
  readonly #namespace: Namespace;
  readonly #set: string;

  private constructor(namespace: Namespace, set: string) {
    this.#namespace = namespace;
    this.#set = set;
  }

  static async watch(
    namespace: Namespace,
    protocol: 'tcp' | 'udp',
    port: number,
  ): Promise<Sources> {
    const set = `${protocol}${port}`;
    await namespace.nft(`
      table inet sources-${set} {
        set ${set} { type ipv4_addr; size 64; flags dynamic; }
        chain input {
          type filter hook input priority 0
          ${protocol} dport ${port} add @${set} { ip saddr }
        }
      }`);
    return new Sources(namespace, set);
  }

  async seen(): Promise<string[]> {
    const list = ['nft', '-j', 'list', 'set', 'inet', `sources-${this.#set}`, this.#set];
    const { nftables } = JSON.parse(await this.#namespace.run(list)) as {
      nftables: { set?: { elem?: string[] } }[];
    };
    return nftables.find(({ set }) => set)?.set?.elem ?? [];
  }
}
