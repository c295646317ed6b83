/** Where the flow log's lines go: a file on a real disk, one that is always full, and /dev/log. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LineFile } from '../../../../src/gateway/flows/line-file.ts';
import { LineSyslog } from '../../../../src/gateway/flows/line-syslog.ts';

let directory: string;
let faults: (string | undefined)[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'flows-'));
  faults = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

function open(path: string, maxSize = 1 << 20): LineFile {
  return new LineFile(path, {
    maxSize,
    maxFiles: 2,
    gap: (records, reason) => `gap of ${records}: ${reason}\n`,
    onFault: (fault) => faults.push(fault),
  });
}

describe('a file', () => {
  test('gets all lines, mode 0600, and is added to', async () => {
    const path = join(directory, 'flows.jsonl');
    for (const start of [0, 1_000]) {
      const file = open(path);
      for (let i = 0; i < 1_000; i++) file.write(`line ${start + i}\n`);
      await file.close();
      expect(file).toMatchObject({ written: 1_000, dropped: 0, fault: undefined });
    }
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines).toEqual(Array.from({ length: 2_000 }, (_, i) => `line ${i}`));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(faults).toEqual([]);
  });

  test('is rotated, and no more files are kept than were said', async () => {
    const path = join(directory, 'flows.jsonl');
    for (let i = 0; i < 10; i++) {
      const file = open(path, 1_000);
      file.write(`${String(i).repeat(899)}\n`);
      await file.close();
    }
    expect(readdirSync(directory).sort()).toEqual([
      'flows.jsonl',
      'flows.jsonl.1',
      'flows.jsonl.2',
    ]);
    expect(['', '.1', '.2'].map((end) => readFileSync(path + end, 'utf8')[0])).toEqual([
      '9',
      '8',
      '7',
    ]);
  });

  test('that is full drops, counts and says so', async () => {
    const file = open('/dev/full');
    for (let i = 0; i < 10; i++) file.write('a line\n');
    await file.close();
    expect(file).toMatchObject({ written: 0, dropped: 10, fault: 'the disk is full' });
    file.write('another\n');
    await file.close();
    expect(file.dropped).toBe(11);
    expect(faults).toEqual(['the disk is full']);
  });

  test('goes on when it can, with a line for what is missing', async () => {
    const path = join(directory, 'missing', 'flows.jsonl');
    const file = open(path);
    file.write('lost\n');
    await file.close();
    expect(faults).toEqual(['the directory is not there']);
    mkdirSync(join(directory, 'missing'));
    file.write('kept\n');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('gap of 1: the directory is not there\nkept\n');
    expect(faults).toEqual(['the directory is not there', undefined]);
    file.write('more\n');
    await file.close();
    expect(readFileSync(path, 'utf8')).toMatch(/kept\nmore\n$/);
    expect(file).toMatchObject({ written: 2, dropped: 1 });
  });

  test('does not hold more in memory than it may', async () => {
    const path = join(directory, 'flows.jsonl');
    const file = open(path, 1 << 30);
    const line = `${'x'.repeat(9_999)}\n`;
    for (let i = 0; i < 2_000; i++) file.write(line);
    await file.close();
    expect(file.dropped).toBeGreaterThan(1_000);
    expect(file.written + file.dropped).toBe(2_000);
    file.write(line);
    await file.close();
    expect(readFileSync(path, 'utf8')).toContain(`gap of ${file.dropped}: too many at once\n`);
    expect(existsSync(`${path}.1`)).toBe(false);
  });
});

describe('syslog', () => {
  test('a datagram for each line, and what is not taken is counted', () => {
    const sent: string[] = [];
    let answer = 0;
    const syslog = new LineSyslog({
      addon: {
        sendUnixDatagram: (address, message) => {
          expect(Buffer.from(address).toString()).toBe('/dev/log');
          sent.push(Buffer.from(message).toString());
          return answer;
        },
      },
      now: () => new Date(2026, 2, 1, 8, 5, 9).getTime(),
      onFault: (fault) => faults.push(fault),
    });
    syslog.write('{"a":1}\n');
    expect(sent).toEqual([`<30>Mar  1 08:05:09 causeway-flow[${process.pid}]: {"a":1}`]);
    answer = -constants.errno.ENOENT;
    syslog.write('{}\n');
    syslog.write('{}\n');
    answer = 0;
    syslog.write('{}\n');
    expect(syslog).toMatchObject({ written: 2, dropped: 2, fault: undefined });
    expect(faults).toEqual(['there is no /dev/log: no syslog daemon runs', undefined]);
  });
});
