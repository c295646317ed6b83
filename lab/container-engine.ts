/**
 * Containers of an image that is built by podman from a Dockerfile, with everything that podman keeps in
 * a folder of their own. No registry is asked: the image that the Dockerfile begins with is made from
 * Debian's archive, as minimal as the published one, and given the name.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missing } from './implementation.ts';
import type { Namespace } from './namespace.ts';
import { attempt, Process, type Result, run } from './process.ts';

const BASE = 'docker.io/library/debian:bookworm-slim';
const BOOTSTRAP = [
  ...['mmdebstrap', '--quiet', '--variant=minbase'],
  ...['man', 'doc', 'locale'].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`),
  'bookworm',
];

/**
 * Without cgroups: a machine may have both versions of them at once, which no runtime takes unless the
 * second is out of sight. In a mount namespace that ends with the command.
 */
const ALONE = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec podman "$@"';
/** Podman's own limits are more than a machine that is a container itself may set. */
const LIMITS = ['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=1000:1000'];

export class ContainerEngine implements AsyncDisposable {
  /** For files of the caller too. */
  readonly folder: string;
  readonly #storage: readonly string[];
  #serial = 0;

  private constructor(folder: string) {
    this.folder = folder;
    const storage = join(folder, 'storage');
    this.#storage = [
      ...['--root', storage, '--runroot', join(folder, 'run')],
      ...['--storage-driver', 'overlay'],
    ];
  }

  /** Why there can be none here; undefined if there can. */
  static async lack(): Promise<string | undefined> {
    const absent = missing('podman', 'mmdebstrap');
    if (absent !== undefined) return absent;
    const { code } = await attempt([...BOOTSTRAP, '--simulate', '/dev/null'], { seconds: 60 });
    return code === 0 ? undefined : "needs Debian's archive";
  }

  static open(): ContainerEngine {
    return new ContainerEngine(mkdtempSync(join(tmpdir(), 'containers-')));
  }

  /** Makes the image that a Dockerfile begins with. */
  async makeBase(): Promise<void> {
    const archive = join(this.folder, 'base.tar');
    await run([...BOOTSTRAP, archive], { seconds: 300 });
    await this.podman('import', '--quiet', archive, BASE);
    rmSync(archive);
  }

  /** Builds the Dockerfile of a folder, with the network of this machine. */
  async build(folder: string, tag: string): Promise<void> {
    const options = ['--quiet', '--isolation', 'chroot', '--pull=never'];
    await this.podman('build', ...options, '--tag', tag, folder);
  }

  /** A command that must succeed; its standard output. */
  podman(...command: string[]): Promise<string> {
    return run(this.#podman(command), { seconds: 300 });
  }

  /** `podman run` with these options, image and command, to its end. */
  attempt(namespace: Namespace, ...command: string[]): Promise<Result> {
    return attempt(this.#podman(this.#run(namespace, command)), { seconds: 60 });
  }

  /** `podman run` in the background. */
  start(namespace: Namespace, ...command: string[]): Process {
    const [program, ...args] = this.#podman(this.#run(namespace, command)) as [string, ...string[]];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    return new Process(child, `container in ${namespace.label}`);
  }

  /** An empty folder of the host for a container. */
  volume(): string {
    this.#serial += 1;
    const folder = join(this.folder, `volume-${this.#serial}`);
    mkdirSync(folder);
    return folder;
  }

  /** Never with a network of podman's making: its bridge would change this machine's own. */
  #run({ name }: Namespace, command: readonly string[]): string[] {
    const network = `ns:/run/netns/${name}`;
    return ['run', '--rm', '--network', network, '--cgroups=disabled', ...LIMITS, ...command];
  }

  #podman(command: readonly string[]): string[] {
    const alone = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', ALONE, 'podman'];
    return [...alone, ...this.#storage, ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await attempt(this.#podman(['rm', '--all', '--force', '--time', '0']));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
