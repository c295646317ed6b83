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
 * Podman's cgroups are those of the machine, or none (`--cgroups=disabled`): a machine may have both
 * versions of them at once, which no runtime takes, so the second is out of sight.
 */
const ALONE = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec podman "$@"';

/** As a container of podman has them, and no more than a container may have in a container. */
const CONTAINER = [
  ...['--cgroups=disabled', '--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=1000:1000'],
];

export class ContainerEngine implements AsyncDisposable {
  /** For files of the caller too. */
  readonly folder: string;
  readonly #storage: readonly string[];
  #serial = 0;

  private constructor(folder: string) {
    this.folder = folder;
    const storage = join(folder, 'storage');
    // A network configuration of nobody's: containers are given namespaces that are there.
    this.#storage = [
      '--root',
      storage,
      '--runroot',
      join(folder, 'run'),
      '--storage-driver',
      'overlay',
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

  /** Runs `docker run` with these options, image and command to its end. */
  attempt(namespace: Namespace, ...command: string[]): Promise<Result> {
    return attempt(this.#podman(this.#run(namespace, command)), { seconds: 60 });
  }

  /** Starts a container, named if its options say so; SIGTERM is handed in. */
  start(namespace: Namespace, ...command: string[]): Process {
    const [program, ...args] = this.#podman(this.#run(namespace, command)) as [string, ...string[]];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    return new Process(child, `container in ${namespace.label}`);
  }

  /** A folder of the host for a container. */
  volume(): string {
    this.#serial += 1;
    const folder = join(this.folder, `volume-${this.#serial}`);
    mkdirSync(folder);
    return folder;
  }

  #run(namespace: Namespace, command: readonly string[]): string[] {
    return [
      'run',
      '--rm',
      '--network',
      `ns:/run/netns/${namespace.name}`,
      ...CONTAINER,
      ...command,
    ];
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
