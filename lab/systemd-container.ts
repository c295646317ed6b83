/**
 * A container with this machine's own system in it and systemd at work: what is written in it is in
 * memory, and gone with it. It has a network of its own, without any interface but lo.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempt, Process, type Result, type RunOptions, run } from './process.ts';

/** Servers that other tests need on this machine: nmbd would wait for an interface for good. */
const MASKED = ['smbd', 'nmbd', 'samba-ad-dc', 'vsftpd'].map(
  (unit) => `systemd.mask=${unit}.service`,
);

/** In a mount namespace of its own: the mounts go with the container. */
const START = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
exec systemd-nspawn --quiet --register=no --keep-unit --private-network \\
  --directory="$1/root" --boot systemd.unit=multi-user.target ${MASKED.join(' ')}`;

export class SystemdContainer implements AsyncDisposable {
  readonly #process: Process;
  readonly #folder: string;
  #leader = '';

  private constructor(process: Process, folder: string) {
    this.#process = process;
    this.#folder = folder;
  }

  /** Why there can be none here; undefined if there can. */
  static async lack(): Promise<string | undefined> {
    if (process.getuid?.() !== 0) return 'needs root';
    const found = await attempt(['sh', '-c', 'command -v systemd-nspawn']);
    return found.code === 0 ? undefined : 'needs systemd-nspawn (package systemd-container)';
  }

  static async boot(): Promise<SystemdContainer> {
    const folder = mkdtempSync(join(tmpdir(), 'container-'));
    const child = spawn('unshare', ['--mount', 'sh', '-c', START, 'sh', folder], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const container = new SystemdContainer(new Process(child, 'container'), folder);
    try {
      await container.#booted();
      return container;
    } catch (error) {
      await container[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #booted(): Promise<void> {
    await this.#process.line(/Reached target.*multi-user\.target/, 60);
    const { pid } = this.#process;
    this.#leader = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]!;
    await this.run(['systemctl', 'is-system-running', '--wait'], { seconds: 60 });
    // Its own, with the mode that udev gives it; this machine's may be root's alone.
    await this.run(['rm', '/dev/net/tun']);
    await this.run(['mknod', '-m', '666', '/dev/net/tun', 'c', '10', '200']);
  }

  run(command: readonly string[], options?: RunOptions): Promise<string> {
    return run(this.#inside(command), options);
  }

  attempt(command: readonly string[], options?: RunOptions): Promise<Result> {
    return attempt(this.#inside(command), options);
  }

  #inside(command: readonly string[]): string[] {
    const where = ['nsenter', '--target', this.#leader, '--all', '--wd=/'];
    return [...where, 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop('SIGTERM');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
