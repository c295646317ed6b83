/** The relay's worker as the edge sees it: what it leaves when it ends. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openRelay } from '../../../src/edge/relay/relay-process.ts';

let folder: string;
let bindingsFile: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'causeway-'));
  bindingsFile = join(folder, 'bindings');
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(logged: string[] = []) {
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const privateKey = randomBytes(32);
  return openRelay({ port: 0, privateKey, bindingsFile, replicas: [], log });
}

test('its bindings are on disk when it has ended', async () => {
  const relay = await open();
  await relay.close();
  expect(JSON.parse(readFileSync(bindingsFile, 'utf8'))).toMatchObject({ version: 1 });
  expect(await relay.closed).toBeUndefined();
});
