/** What the programs say to people and to scripts. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { completionScript } from '../../../src/cli/completion.ts';
import { buildProgram } from '../../../src/cli/connector-program.ts';
import { settingsChange } from '../../../src/cli/edge-options.ts';
import { formatBytes, formatDuration, formatStatus } from '../../../src/cli/tunnel-status.ts';
import { packageVersion } from '../../../src/cli/version.ts';
import { parseLogLevel } from '../../../src/gateway/log.ts';
import type { TunnelStatus } from '../../../src/gateway/status.ts';

const ROOT = join(import.meta.dirname, '../../..');

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one of our programs by its stub. */
function run(program: string, ...args: string[]): Promise<Outcome> {
  const { LOG_LEVEL: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(program, args, { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
const connector = (...args: string[]): Promise<Outcome> =>
  run(join(ROOT, 'bin/connector'), ...args);
const connectorWg = (...args: string[]): Promise<Outcome> =>
  run(join(ROOT, 'bin/connector-wg'), ...args);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('the programs', () => {
  test('--version and --help, also through a link in PATH', async () => {
    symlinkSync(join(ROOT, 'bin/connector'), join(folder, 'connector'));
    const version = { code: 0, stdout: `${packageVersion()}\n`, stderr: '' };
    expect(await run(join(folder, 'connector'), '--version')).toEqual(version);
    expect(await connectorWg('--version')).toEqual(version);
    for (const help of [await connector('--help'), await connectorWg('-h')]) {
      expect(help.code).toBe(0);
      expect(help.stdout).toMatch(/^Usage: connector/);
      expect(Math.max(...help.stdout.split('\n').map((line) => line.length))).toBeLessThan(100);
    }
  });

  test('up alone says what it says among all commands', async () => {
    const { stdout } = await connector('up', '--help');
    const among = buildProgram().commands.find((command) => command.name() === 'up')!;
    expect(stdout).toBe(among.helpInformation());
    const { stderr } = await connector('up', '--tokn', 'x');
    expect(stderr.split('\n')).toEqual([
      "connector: unknown option '--tokn'. [USAGE]",
      '(Did you mean --token?)',
      '(connector up --help says how it is used)',
      '',
    ]);
  });

  test.each([
    ['no argument', 'connector-wg', [], /missing required argument/],
    ['too many', 'connector-wg', ['a', 'b'], /too many arguments/],
    ['an unknown option', 'connector-wg', ['--fast', 'wg0'], /unknown option '--fast'/],
    ['a wrong choice', 'connector-wg', ['--crypto', 'rot13', 'wg0'], /Allowed choices are auto/],
    ['a long name', 'connector-wg', ['sixteen-bytes-xx'], /more than 15 bytes.*\[INTERFACE_NAME\]/],
    [
      'an unknown command',
      'connector',
      ['tunel'],
      /unknown command 'tunel'.*\n.*Did you mean tunnel/,
    ],
    ['no file', 'connector', ['tunnel', 'up', '/no/wg0.conf'], /no such file.*\[FILE_ACCESS\]/],
    [
      'a directory',
      'connector',
      ['tunnel', 'up', '/etc/ssl.conf/'],
      /\[(FILE_ACCESS|INTERFACE_NAME)\]/,
    ],
    [
      'not up',
      'connector',
      ['tunnel', 'down', 'cw-not-there'],
      /No tunnel .*\[(INTERFACE_MISSING|PERMISSION)\]/,
    ],
    ['an unknown shell', 'connector', ['completion', 'csh'], /Allowed choices are bash, zsh, fish/],
    [
      'a missing argument',
      'connector',
      ['tunnel', 'up'],
      /^connector: missing .*\[USAGE\]\n\(connector tunnel up --help says how it is used\)\n$/,
    ],
  ])('%s: one sentence, exit code not 0', async (_, program, args, words) => {
    const outcome = await run(join(ROOT, 'bin', program), ...args);
    expect(outcome.code).not.toBe(0);
    expect(outcome.stdout).toBe('');
    expect(outcome.stderr).toMatch(words);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
    expect(outcome.stderr.trim().split('\n').length).toBeLessThanOrEqual(3);
  });

  test('a mistake in a file is found before anything is started, with its line', async () => {
    const file = join(folder, 'wg7.conf');
    await writeFile(file, '[Interface]\nListenPort = many\n');
    const outcome = await connector('tunnel', 'up', file);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toBe(
      `connector: ${file}:2: ListenPort is no number from 0 to 65535. [CONFIG_VALUE]\n`,
    );
  });

  test("a gateway's configuration file is checked, and stops a start when it is wrong", async () => {
    const file = join(folder, 'connector.toml');
    await writeFile(file, 'mtu = 900\nprot = 1\n');
    const checked = await connector('config', 'check', file);
    expect(checked.code).toBe(1);
    expect(checked.stdout.split('\n').map((line) => line.slice(0, file.length + 3))).toEqual([
      `${file}:1:`,
      `${file}:2:`,
      '',
    ]);
    expect(checked.stdout).toContain('did you mean port?');
    expect(checked.stderr).toMatch(/has 2 mistakes.*\[CONFIG_VALUE\]/);
    const started = await connector('up', '--config', file);
    expect(started.code).toBe(1);
    expect(started.stderr).toMatch(
      /connector\.toml:1: mtu .* There are 1 more.*\[CONFIG_VALUE\]\n$/,
    );
    // All else is looked at all the same.
    const doctor = await connector('doctor', '--json', '--config', file);
    const { findings } = JSON.parse(doctor.stdout) as { findings: { check: string }[] };
    expect(findings.find(({ check }) => check === 'configuration')).toMatchObject({
      status: 'problem',
      says: expect.stringContaining('connector.toml:1: mtu'),
    });
    expect(findings.map(({ check }) => check)).toContain('firewall');
    await writeFile(file, 'mtu = 1400\n');
    expect(await connector('config', 'check', file)).toMatchObject({
      code: 0,
      stdout: `${file} is right.\n`,
    });
  });

  test('a token file of the configuration is asked for by name while it is needed', async () => {
    const file = join(folder, 'connector.toml');
    const state = join(folder, 'state');
    await writeFile(file, `token-file = "${folder}/none"\nstate-dir = "${state}"\n`);
    const outcome = await connector('up', '--foreground', '--config', file);
    expect(outcome.stderr).toMatch(/The token file .*\/none is not there.*\[FILE_ACCESS\]/);
  });

  test('down: with a mistake in the file, by what the command line says', async () => {
    const file = join(folder, 'broken.toml');
    await writeFile(file, 'mtu = \n');
    const down = (...options: string[]) => connector('down', '--config', file, ...options);
    expect((await down()).stderr).toMatch(/broken\.toml:1: .*\[CONFIG_SYNTAX\]/);
    const ended = await down('--interface', 'cw-none');
    expect(ended.stderr).toMatch(/No gateway runs on cw-none .*\[INTERFACE_MISSING\]/);
    const forgotten = await down('--interface', 'cw-none', '--forget');
    expect(forgotten.stderr).toMatch(/\[CONFIG_SYNTAX\]/);
  });

  test('down --forget where there is nobody to forget says so, and makes nothing', async () => {
    const state = join(folder, 'nobody');
    const forget = () =>
      connector('down', '--interface', 'cw-none', '--forget', '--state-dir', state);
    expect(await forget()).toMatchObject({ code: 1 });
    expect(existsSync(state)).toBe(false);
    await mkdir(state);
    expect((await forget()).stderr).toMatch(/There is no identity in .*\/nobody.*\[NOT_ENROLLED\]/);
    await writeFile(join(state, 'identity.json'), '{}');
    expect(await forget()).toMatchObject({ code: 0, stderr: '' });
    expect(await readdir(state)).toEqual([]);
  });

  test("an edge's certificate is found by later starts in another directory", async () => {
    const options = { data: folder, certificate: 'c.pem', key: '/etc/k.pem' };
    const change = await settingsChange(options);
    const certificate = join(process.cwd(), 'c.pem');
    expect(change.certificate).toEqual({ certificate, key: '/etc/k.pem' });
  });

  test('a token file that was removed after it was used does not stop a start', async () => {
    const state = join(folder, 'enrolled');
    const up = () =>
      connector('up', '--foreground', '--token-file', `${folder}/none`, '--state-dir', state);
    expect((await up()).stderr).toMatch(/The token file .*\/none is not there.*\[FILE_ACCESS\]/);
    // With an identity it is that which counts: here one that is none.
    await writeFile(join(state, 'identity.json'), '{}');
    expect((await up()).stderr).toMatch(/\[IDENTITY_DAMAGED\]/);
  });
});

describe('completion', () => {
  const scripts = (['bash', 'zsh', 'fish'] as const).map(
    (shell) => [shell, completionScript(buildProgram(), shell)] as const,
  );

  test.each(scripts)('%s knows every command and option', (_, script) => {
    for (const word of [
      'tunnel',
      'up',
      'down',
      'status',
      'completion',
      'json',
      'crypto',
      'foreground',
    ]) {
      expect(script).toContain(word);
    }
  });

  test('bash completes with it', () => {
    const complete = (line: string): string[] => {
      const words = line.split(' ');
      const script = `${scripts[0]![1]}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
_connector; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
    };
    expect(complete('connector tun')).toEqual(['tunnel']);
    expect(complete('connector tunnel s')).toEqual(['status']);
    expect(complete('connector tunnel status --j')).toEqual(['--json']);
    expect(complete('connector tunnel up --cr')).toEqual(['--crypto']);
    expect(complete('connector completion ')).toEqual(
      expect.arrayContaining(['bash', 'zsh', 'fish']),
    );
    // Values of options, and no option where a value is to be.
    expect(complete('connector up --breakout-family ')).toEqual(['both', '4', '6']);
    expect(complete('connector capture -c ')).toEqual(['']);
    expect(complete(`connector up --advertise x --config ${folder}/connector.t`)).toEqual([
      `${folder}/connector.toml`,
    ]);
    expect(complete(`connector policy set ${folder}/connector.t`)).toEqual([
      `${folder}/connector.toml`,
    ]);
    // A value that is the name of a command leads nowhere.
    expect(complete('connector up --name status --forw')).toEqual(['']);
    expect(complete('connector up --name status --no-forw')).toEqual(['--no-forwarding']);
    expect(complete('connector create st')).toEqual(['']);
  });
});

describe('status', () => {
  const status: TunnelStatus = {
    interface: 'wg0',
    pid: 77,
    since: '2026-01-01T00:00:00.000Z',
    publicKey: 'A'.repeat(43).concat('='),
    listenPort: 51_820,
    fwmark: 52_000,
    crypto: 'openssl',
    offloads: ['tso', 'uso', 'udp-gso', 'udp-gro'],
    peers: [
      {
        publicKey: 'B'.repeat(43).concat('='),
        presharedKey: true,
        endpoint: '[2001:db8:1234:5678:9abc:def0:1234:5678]:51820',
        lastHandshake: '2026-01-01T00:59:30.000Z',
        rxBytes: 1_300_000_000,
        txBytes: 12,
        persistentKeepalive: 25,
        allowedIps: Array.from({ length: 200 }, (_, i) => `10.${i}.0.0/16`),
        allowedIpCount: 2_000,
      },
    ],
    drops: [
      {
        reason: 'in_source_not_allowed',
        meaning: 'decrypted packet whose source is outside the allowed IPs of its peer',
        packets: 1_234_567,
      },
    ],
  };

  test('fits 80 columns, and says what matters', () => {
    const text = formatStatus(status, Date.parse('2026-01-01T01:00:00.000Z'));
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).toMatch(/handshake: +30 s ago/);
    expect(text).toMatch(/received: +1\.21 GiB/);
    expect(text).toMatch(/cryptography: +openssl/);
    expect(text).toMatch(/and\s+1980 more/);
    expect(text).toMatch(/1234567 in_source_not_allowed/);
    expect(text).toMatch(/up for: +1 h /);
  });

  test('nothing yet', () => {
    const text = formatStatus(
      { ...status, publicKey: undefined, listenPort: 0, peers: [], drops: [] },
      0,
    );
    expect(text).toContain('no packets dropped');
    expect(text).toMatch(/public key: +\(none\)/);
  });

  test('numbers for people', () => {
    expect([0, 1023, 1024, 1.5 * 1024 ** 2].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.00 KiB',
      '1.50 MiB',
    ]);
    expect([0, 59_999, 3_600_000, 100_000_000].map(formatDuration)).toEqual([
      '0 s',
      '59 s',
      '1 h',
      '1 d 3 h',
    ]);
  });

  test('LOG_LEVEL takes the names of wireguard-go and of pino', () => {
    expect(['', undefined, 'verbose', 'ERROR', 'silent', 'loud'].map(parseLogLevel)).toEqual([
      'info',
      'info',
      'debug',
      'error',
      'silent',
      undefined,
    ]);
  });
});
