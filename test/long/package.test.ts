/** `npm run package`: what is in the Debian package, that it runs from where it is unpacked, and twice the same. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missing } from '../../lab/implementation.ts';
import { attempt, run } from '../../lab/process.ts';
import { SERVICES, unitName, unitText } from '../../src/cli/service-units.ts';
import { packageVersion } from '../../src/cli/version.ts';

const SCRIPT = join(import.meta.dirname, '../../scripts/package.ts');
const MINUTES = 300;
const lack = missing('dpkg-deb');

let folder: string;
let root: string;
let deb: string;

async function build(output: string): Promise<string> {
  const command = [process.execPath, SCRIPT, '--fast', '--output', output];
  const environment = { SOURCE_DATE_EPOCH: '1767225600' };
  return (await run(command, { seconds: MINUTES, environment })).trim();
}

/** A program of the package, with nothing of this machine's in reach but the system's tools. */
const packaged = (...command: string[]) =>
  attempt(['env', '-i', 'PATH=/usr/bin:/bin', ...command], { seconds: 60 });

describe.skipIf(lack)(lack ? `the Debian package (skipped: ${lack})` : 'the Debian package', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'package-'));
    root = join(folder, 'root');
    deb = await build(join(folder, 'first'));
    await run(['dpkg-deb', '--extract', deb, root], { seconds: MINUTES });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('runs from where it is unpacked, with its own node and addon', async () => {
    for (const program of ['connector', 'connector-wg']) {
      const { code, stdout, stderr } = await packaged(join(root, 'usr/bin', program), '--version');
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: `${packageVersion()}\n`,
        stderr: '',
      });
    }
    const library = join(root, 'usr/lib/causeway');
    const node = join(library, `node_modules/node-linux-${process.arch}/bin/node`);
    const load = `import { loadAddon } from '${library}/dist/native/addon.js';
import '${library}/dist/edge/edge.js';
import '${library}/dist/gateway/mesh/mesh-daemon.js';
import '${library}/dist/gateway/mesh/settings-file.js';
loadAddon(); console.log(process.execPath)`;
    const loaded = await packaged(node, '--input-type=module', '-e', load);
    expect(loaded).toEqual({ code: 0, stdout: `${node}\n`, stderr: '' });
    const example = join(root, 'etc/causeway/connector.toml');
    const checked = await packaged(join(root, 'usr/bin/connector'), 'config', 'check', example);
    expect(checked.stdout).toBe(`${example} is right.\n`);
  });

  test('has what a Debian system expects, and nothing that is for development', () => {
    for (const service of SERVICES) {
      const unit = readFileSync(join(root, 'lib/systemd/system', unitName(service)), 'utf8');
      expect(unit).toBe(unitText(service, '/usr/bin/connector'));
    }
    for (const file of [
      'usr/share/man/man1/connector.1.gz',
      'usr/share/man/man1/connector-wg.1.gz',
      'usr/share/bash-completion/completions/connector',
      'usr/share/zsh/vendor-completions/_connector',
      'usr/share/fish/vendor_completions.d/connector.fish',
      'usr/share/doc/causeway/copyright',
      'usr/share/doc/causeway/quickstart.md',
    ]) {
      expect([file, existsSync(join(root, file))]).toEqual([file, true]);
    }
    const modules = readdirSync(join(root, 'usr/lib/causeway/node_modules'));
    for (const name of ['typescript', 'vitest', '@biomejs', 'node-gyp', 'fast-check']) {
      expect(modules).not.toContain(name);
    }
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      expect(/\.(map|ts)$/.test(path), path).toBe(false);
      if (!entry.isSymbolicLink()) expect(lstatSync(path).mode & 0o022, path).toBe(0);
    }
  });

  test('its configuration is kept, and its scripts are shell', async () => {
    const control = join(folder, 'control');
    await run(['dpkg-deb', '--control', deb, control]);
    expect(readFileSync(join(control, 'conffiles'), 'utf8')).toBe('/etc/causeway/connector.toml\n');
    for (const script of ['postinst', 'prerm', 'postrm']) {
      await run(['sh', '-n', join(control, script)]);
      // Nothing is started that did not run, and nothing enabled.
      const text = readFileSync(join(control, script), 'utf8');
      expect(text).not.toMatch(/systemctl[^\n]* (enable|start|restart) /);
    }
    const fields = await run(['dpkg-deb', '--field', deb]);
    expect(fields).toMatch(/^Depends: libc6 \(>= 2\.\d+\), .*iproute2$/m);
    const sums = readFileSync(join(control, 'md5sums'), 'utf8');
    await run(['md5sum', '--quiet', '--check', '-'], { input: rooted(sums), seconds: 60 });
  });

  test('dpkg unpacks it into a system of its own', async () => {
    const system = join(folder, 'system');
    for (const directory of ['info', 'updates', 'triggers']) {
      mkdirSync(join(system, 'var/lib/dpkg', directory), { recursive: true });
    }
    for (const file of ['status', 'available']) {
      writeFileSync(join(system, 'var/lib/dpkg', file), '');
    }
    const dpkg = ['dpkg', `--root=${system}`, '--force-not-root', '--force-depends', '--unpack'];
    await run([...dpkg, deb], { seconds: MINUTES });
    const { code, stdout } = await packaged(join(system, 'usr/bin/connector'), '--version');
    expect([code, stdout]).toEqual([0, `${packageVersion()}\n`]);
  });

  test('is the same to the byte when it is built again', async () => {
    const again = await build(join(folder, 'second'));
    expect(hash(again)).toBe(hash(deb));
  });

  /** Of md5sums, with paths of where it was unpacked. */
  function rooted(sums: string): string {
    return sums.replaceAll(/^(\w{32} {2})/gm, `$1${root}/`);
  }
});

function hash(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
