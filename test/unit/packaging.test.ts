/** The units and settings of services: what systemd makes of them, that they fit the code, and their installation. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  checkProgram,
  installService,
  isPackaged,
  type ServiceHost,
  uninstallService,
} from '../../src/cli/service-installation.ts';
import { parseProperties } from '../../src/cli/service-status.ts';
import { SERVICES, unitName, unitText } from '../../src/cli/service-units.ts';
import { bufferWarning } from '../../src/edge/relay/relay-process.ts';
import { SOCKET_BUFFER } from '../../src/udp/udp-sockets.ts';

const PACKAGING = join(import.meta.dirname, '../../packaging');
const CONFIGURATION = '/etc/causeway/connector.toml';
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'units-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** `Key=value` lines; the last of each key. */
function settingsOf(unit: string): Map<string, string> {
  const lines = unit.split('\n');
  return new Map(
    lines.flatMap((line) => {
      const match = /^(\w+)=(.*)$/.exec(line);
      return match === null ? [] : [[match[1]!, match[2]!]];
    }),
  );
}

describe.each(SERVICES)('the unit of the %s', (service) => {
  const unit = unitName(service);

  test('never gives up, and waits for the network', () => {
    const settings = settingsOf(unitText(service, '/usr/bin/connector'));
    expect(settings.get('StartLimitIntervalSec')).toBe('0');
    expect(Number(settings.get('RestartSec'))).toBeGreaterThanOrEqual(5);
    expect(settings.get('After')).toBe('network-online.target');
    expect(settings.get('Wants')).toBe('network-online.target');
    expect(settings.get('Type')).toBe('notify');
    expect(settings.get('DynamicUser')).toBe('yes');
  });

  test.skipIf(!hasSystemd)('systemd finds nothing wrong, and little exposed', () => {
    const file = join(folder, unit);
    // The program itself is not installed here.
    writeFileSync(file, unitText(service, '/bin/true'));
    const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
      encoding: 'utf8',
    });
    const said = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(unit));
    expect(said).toEqual([]);
    const offline = ['security', '--offline=true', '--no-pager', file];
    const rated = spawnSync('systemd-analyze', offline, { encoding: 'utf8' }).stdout;
    const exposure = /Overall exposure level for \S+: ([0-9.]+)/.exec(rated)?.[1];
    expect(Number(exposure)).toBeLessThanOrEqual(3);
    const documented = readFileSync(join(PACKAGING, '../docs/packaging.md'), 'utf8');
    expect(documented).toContain(`| \`${unit}\` | ${exposure} |`);
  });
});

describe('installing a service', () => {
  let asked: string[];
  let host: ServiceHost;
  beforeEach(() => {
    asked = [];
    const systemctl = async (...args: string[]): Promise<string> => {
      asked.push(args.join(' '));
      return '';
    };
    host = { root: folder, program: '/bin/true', systemctl };
  });
  const files = (): string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length))
      .toSorted();

  test('once or twice is the same; uninstalling leaves nothing', async () => {
    const unit = '/etc/systemd/system/causeway-gateway.service';
    expect(await installService(host, 'gateway')).toEqual([unit, CONFIGURATION]);
    expect(await installService(host, 'gateway')).toEqual([]);
    expect(files()).toEqual([CONFIGURATION, unit]);
    expect(readFileSync(folder + unit, 'utf8')).toContain('ExecStart=/bin/true up --foreground\n');
    await installService(host, 'edge');
    expect(files()).toHaveLength(4);
    expect(asked).toContain('enable causeway-edge.service');
    await uninstallService(host, 'edge');
    expect(await uninstallService(host, 'gateway')).toEqual([unit, CONFIGURATION]);
    expect(files()).toEqual([]);
    expect(existsSync(`${folder}/etc/causeway`)).toBe(false);
    expect(asked.slice(-2)).toEqual(['disable --now causeway-gateway.service', 'daemon-reload']);
    asked = [];
    expect(await uninstallService(host, 'gateway')).toEqual([]);
    expect(asked).toEqual([]);
  });

  test('a unit of an older version is replaced, a configuration of the operator never', async () => {
    await installService(host, 'gateway');
    writeFileSync(folder + CONFIGURATION, 'mtu = 1400\n');
    const moved = { ...host, program: '/bin/false' };
    expect(await installService(moved, 'gateway')).toEqual([
      '/etc/systemd/system/causeway-gateway.service',
    ]);
    await uninstallService(host, 'gateway');
    expect(files()).toEqual([CONFIGURATION]);
  });

  test("a distribution's package keeps its own files", async () => {
    const packaged = `${folder}/lib/systemd/system/causeway-edge.service`;
    mkdirSync(dirname(packaged), { recursive: true });
    writeFileSync(packaged, unitText('edge', '/usr/bin/connector'));
    expect(isPackaged(host, 'edge')).toBe(true);
    const sysctl = '/etc/sysctl.d/90-causeway-edge.conf';
    expect(await installService(host, 'edge')).toEqual([sysctl]);
    expect(await uninstallService(host, 'edge')).toEqual([sysctl]);
    expect(asked).toEqual([
      'daemon-reload',
      'enable causeway-edge.service',
      'disable --now causeway-edge.service',
      'daemon-reload',
    ]);
    expect(files()).toEqual(['/lib/systemd/system/causeway-edge.service']);
  });

  test('a program that a service could not see is refused', () => {
    expect(() => checkProgram('/root/causeway/bin/connector')).toThrow(/\/root is hidden from it/);
    expect(() => checkProgram(folder)).toThrow(/Install the package below \/opt or \/usr/);
    expect(() => checkProgram('/bin/true')).not.toThrow();
  });

  test('properties of systemd', () => {
    expect(parseProperties('ActiveState=active\nStatusText=a=b\n\n')).toEqual({
      ActiveState: 'active',
      StatusText: 'a=b',
    });
  });
});

test('the system permits the buffers that the relay asks for, or the log says so', () => {
  const text = readFileSync(join(PACKAGING, 'sysctl.d/90-causeway-edge.conf'), 'utf8');
  expect(text).toContain(`net.core.rmem_max = ${SOCKET_BUFFER}\n`);
  expect(text).toContain(`net.core.wmem_max = ${SOCKET_BUFFER}\n`);
  expect(bufferWarning(SOCKET_BUFFER)).toBeUndefined();
  expect(bufferWarning(212_992)).toMatch(
    / 208 KiB instead of 8192: .* net\.core\.rmem_max to 8388608/,
  );
});
