/** The units and settings that are installed by hand: what systemd makes of them, and that they fit the code. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bufferWarning } from '../../src/edge/relay/relay-process.ts';
import { SOCKET_BUFFER } from '../../src/udp/udp-sockets.ts';

const PACKAGING = join(import.meta.dirname, '../../packaging');
const units = readdirSync(join(PACKAGING, 'systemd'));
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

/** `Key=value` lines. */
function settingsOf(unit: string): Map<string, string> {
  const lines = readFileSync(join(PACKAGING, 'systemd', unit), 'utf8').split('\n');
  return new Map(
    lines.flatMap((line) => {
      const match = /^(\w+)=(.*)$/.exec(line);
      return match === null ? [] : [[match[1]!, match[2]!]];
    }),
  );
}

describe.each(units)('%s', (unit) => {
  test('never gives up, and waits for the network', () => {
    const settings = settingsOf(unit);
    expect(settings.get('StartLimitIntervalSec')).toBe('0');
    expect(Number(settings.get('RestartSec'))).toBeGreaterThanOrEqual(5);
    expect(settings.get('After')).toBe('network-online.target');
    expect(settings.get('Wants')).toBe('network-online.target');
  });

  test.skipIf(!hasSystemd)('systemd finds nothing wrong', () => {
    const folder = mkdtempSync(join(tmpdir(), 'units-'));
    try {
      // The program itself is not installed here.
      const text = readFileSync(join(PACKAGING, 'systemd', unit), 'utf8');
      const file = join(folder, unit);
      writeFileSync(file, text.replace('/usr/local/bin/connector', '/bin/true'));
      const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
        encoding: 'utf8',
      });
      const said = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(unit));
      expect(said).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
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
