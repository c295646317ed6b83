/** The relay's worker as the edge sees it: that it lives, that it hangs, that it ends. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Session } from 'node:inspector';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openRelay } from '../../../src/edge/relay/relay-process.ts';
import { until } from './edge-under-test.ts';

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

/** Has the only worker of this thread run a statement that does not end. */
function hang(): Session {
  const session = new Session();
  session.connect();
  session.on('NodeWorker.attachedToWorker', ({ params }) => {
    const expression = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)';
    const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
    session.post('NodeWorker.sendMessageToWorker', { sessionId: params.sessionId, message });
  });
  session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  return session;
}

test('its bindings are on disk when it has ended', async () => {
  const relay = await open();
  await relay.close();
  expect(JSON.parse(readFileSync(bindingsFile, 'utf8'))).toMatchObject({ version: 1 });
  expect(await relay.closed).toBeUndefined();
});

test('one that runs gives signs of life; one that hangs does not, and is ended all the same', async () => {
  const logged: string[] = [];
  const relay = await open(logged);
  let before = relay.silence();
  // It falls with each of them.
  await until(() => {
    const silence = relay.silence();
    const fallen = silence < before;
    before = silence;
    return fallen;
  });
  const session = hang();
  await until(() => relay.silence() > 3_000);
  await relay.close();
  session.disconnect();
  expect(await relay.closed).toBeUndefined();
  expect(logged.filter((line) => line.includes('hangs'))).toHaveLength(1);
});
