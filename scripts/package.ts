/**
 * `npm run package`: a Debian package from the checkout, by dpkg-deb alone. It carries its own node,
 * the addon and the packages that run, so that a bare system needs no npm. The same checkout and the
 * same SOURCE_DATE_EPOCH (the last commit's by default) give the same bytes.
 *
 *   npm run package -- [--output DIRECTORY] [--fast]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { completionScript } from '../src/cli/completion.ts';
import { buildProgram } from '../src/cli/connector-program.ts';
import { buildWgProgram } from '../src/cli/connector-wg-program.ts';
import { SERVICES, unitName, unitText } from '../src/cli/service-units.ts';
import { packageVersion } from '../src/cli/version.ts';
import { manPage } from './man-page.ts';

const ROOT = resolve(import.meta.dirname, '..');
const LIBRARY = 'usr/lib/causeway';
const DOCUMENTATION = 'usr/share/doc/causeway';
/** Of dependencies: what their code does not need. */
const LEFT_OUT = new Set([
  '.map',
  '.ts',
  '.mts',
  '.cts',
  '.md',
  '.markdown',
  '.yml',
  '.yaml',
  '.flow',
]);
const CONFIGURATION = 'etc/causeway/connector.toml';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

const { values: options } = parseArgs({
  options: { output: { type: 'string', default: ROOT }, fast: { type: 'boolean', default: false } },
});

function main(): void {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`no package for ${process.arch}`);
  const epoch = sourceDate();
  const tree = mkdtempSync(join(tmpdir(), 'causeway-package-'));
  try {
    chmodSync(tree, 0o755);
    addProgram(tree);
    addSystemFiles(tree, epoch);
    addControl(tree, architecture);
    settle(tree, epoch);
    const file = `causeway_${packageVersion()}_${architecture}.deb`;
    const output = resolve(options.output, file);
    mkdirSync(dirname(output), { recursive: true });
    const compression = options.fast ? ['-Zgzip', '-z1'] : ['-Zxz'];
    execFileSync('dpkg-deb', ['--root-owner-group', ...compression, '--build', tree, output], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    });
    process.stdout.write(`${output}\n`);
  } finally {
    rmSync(tree, { recursive: true });
  }
}

/** Seconds since the Unix epoch. */
function sourceDate(): number {
  const given = Number(process.env.SOURCE_DATE_EPOCH);
  if (Number.isSafeInteger(given) && given > 0) return given;
  try {
    const text = execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, stdio: 'pipe' });
    return Number(text.toString().trim());
  } catch {
    throw new Error('this is no git checkout: set SOURCE_DATE_EPOCH');
  }
}

/** Program, node, addon and the packages that run. */
function addProgram(tree: string): void {
  const to = (path: string): string => join(tree, LIBRARY, path);
  const copy = (path: string, keep: (file: string) => boolean = () => true): void =>
    cpSync(join(ROOT, path), to(path), { recursive: true, filter: keep });
  copy('bin');
  copy('dist', (file) => !['.map', '.ts', '.tsbuildinfo'].includes(extname(file)));
  copy('build/Release/causeway.node');
  copy('packaging');
  copy('LICENSE');
  const { name, version, type, license } = JSON.parse(read('package.json'));
  put(
    tree,
    `${LIBRARY}/package.json`,
    `${JSON.stringify({ name, version, type, license }, null, 2)}\n`,
  );
  for (const path of runtimePackages()) {
    const isNode = basename(path).startsWith('node-linux-');
    copy(path, (file) => {
      const inside = file.slice(join(ROOT, path).length + 1);
      if (isNode) return /^(|bin|bin\/node|LICENSE|package\.json)$/.test(inside);
      // Packages inside of it are listed by themselves.
      return !inside.split('/').includes('node_modules') && !LEFT_OUT.has(extname(file));
    });
  }
  for (const program of ['connector', 'connector-wg']) {
    mkdirSync(join(tree, 'usr/bin'), { recursive: true });
    symlinkSync(`../lib/causeway/bin/${program}`, join(tree, 'usr/bin', program));
  }
}

interface Locked {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

/** Folders of node_modules that package-lock.json has for production and this platform. */
function runtimePackages(): string[] {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, Locked>;
  };
  return Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
    .map(([path]) => path)
    .filter((path) => existsSync(join(ROOT, path)));
}

/** Units, manual pages, completions, documentation, the configuration file. */
function addSystemFiles(tree: string, epoch: number): void {
  for (const service of SERVICES) {
    put(tree, `lib/systemd/system/${unitName(service)}`, unitText(service, '/usr/bin/connector'));
  }
  put(tree, CONFIGURATION, read('packaging/connector.toml'));
  const date = new Date(epoch * 1_000).toISOString().slice(0, 10);
  for (const program of [buildProgram(), buildWgProgram()]) {
    const page = gzipSync(manPage(program, date), { level: 9 });
    put(tree, `usr/share/man/man1/${program.name()}.1.gz`, page);
  }
  const program = buildProgram();
  const shells = {
    bash: 'usr/share/bash-completion/completions/connector',
    zsh: 'usr/share/zsh/vendor-completions/_connector',
    fish: 'usr/share/fish/vendor_completions.d/connector.fish',
  } as const;
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    put(tree, shells[shell], completionScript(program, shell));
  }
  cpSync(join(ROOT, 'docs'), join(tree, DOCUMENTATION), { recursive: true });
  put(tree, `${DOCUMENTATION}/copyright`, read('LICENSE'));
  put(tree, `${DOCUMENTATION}/changelog.gz`, gzipSync(read('CHANGELOG.md'), { level: 9 }));
}

function addControl(tree: string, architecture: string): void {
  const files = filesOf(tree);
  const size = files.reduce((sum, file) => sum + readFileSync(join(tree, file)).length, 0);
  const sums = files
    .filter((file) => file !== CONFIGURATION)
    .map((file) => `${digest(readFileSync(join(tree, file)))}  ${file}\n`);
  put(
    tree,
    'DEBIAN/control',
    `Package: causeway
Version: ${packageVersion()}
Architecture: ${architecture}
Maintainer: Causeway authors <causeway@localhost>
Installed-Size: ${Math.ceil(size / 1024)}
Depends: libc6 (>= ${newestGlibc(tree)}), libgcc-s1, libstdc++6, iproute2
Recommends: nftables, iputils-ping
Suggests: wireguard-tools
Section: net
Priority: optional
Description: userspace Layer-3 mesh connector that speaks WireGuard
 Joins sites by encrypted CIDR routes, gateway to gateway, with their true
 source addresses. A gateway, the coordinating edge, and a drop-in for
 wireguard-go. Brings its own Node.js.
`,
  );
  put(tree, 'DEBIAN/conffiles', `/${CONFIGURATION}\n`);
  put(tree, 'DEBIAN/md5sums', sums.join(''));
  for (const script of ['postinst', 'prerm', 'postrm']) {
    put(tree, `DEBIAN/${script}`, read(`packaging/debian/${script}`), 0o755);
  }
}

/** The newest version of glibc whose symbols a binary of ours asks for: `2.34`. */
function newestGlibc(tree: string): string {
  const binaries = [
    'build/Release/causeway.node',
    `node_modules/node-linux-${process.arch}/bin/node`,
  ].map((file) => readFileSync(join(tree, LIBRARY, file), 'latin1'));
  const minors = binaries.flatMap((text) =>
    [...text.matchAll(/GLIBC_2\.(\d{1,3})\0/g)].map(([, minor]) => Number(minor)),
  );
  return `2.${Math.max(...minors)}`;
}

/** Owner's and everybody's permissions as Debian wants them; one time for all. */
function settle(tree: string, epoch: number): void {
  const entries = readdirSync(tree, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    else if (entry.isFile()) {
      const runs = /\/(bin\/[^/]+|DEBIAN\/(postinst|prerm|postrm))$/.test(path);
      chmodSync(path, runs ? 0o755 : 0o644);
    }
    lutimesSync(path, epoch, epoch);
  }
  lutimesSync(tree, epoch, epoch);
}

function filesOf(tree: string): string[] {
  return readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(tree.length + 1))
    .toSorted();
}

function put(tree: string, path: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), content, { mode });
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function digest(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

main();
