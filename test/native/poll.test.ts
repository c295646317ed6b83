/** Readiness of descriptors on the event loop. */
import { closeSync, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenedUdp, type PollHandle, READABLE, WRITABLE } from '../../src/native/addon.ts';
import { bindInbound, bindOutbound } from '../../src/native/bindings.ts';
import { EndpointTable, InboundVector, OutboundVector } from '../../src/vector.ts';
import { addon, openDescriptors, runProgram, times } from './addon-under-test.ts';

let socket: OpenedUdp;
let polls: PollHandle[];

beforeEach(() => {
  socket = addon.openUdp(4, 0, 0, 1 << 16, true);
  polls = [];
});

afterEach(() => {
  for (const poll of polls) addon.closePoll(poll);
  addon.close(socket.fd);
});

const outbound = new OutboundVector(1, 100);
const inbound = new InboundVector(8, 8, 1 << 16, 1);
const table = new EndpointTable(1);
const endpoints = addon.bindEndpoints(table.bytes);

/** Sends a datagram of 40 bytes to the socket from itself. */
function send(): void {
  table.words[0] = 4 | (socket.port << 16);
  table.bytes.set([127, 0, 0, 1], 4);
  outbound.count[0] = 1;
  outbound.stride[0] = outbound.lastSize[0] = 40;
  outbound.slot[0] = -2;
  addon.udpSend(socket.fd, -1, true, true, bindOutbound(addon, outbound), 1, endpoints, false);
  expect([...addon.results.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
}

function receive(): number {
  addon.udpReceive(socket.fd, bindInbound(addon, inbound), 1);
  return addon.results[2]!;
}

/** The next event of the socket's poll. */
function nextEvent(events: number): Promise<number> {
  return new Promise((resolve) => {
    const poll = addon.createPoll(socket.fd, (mask) => {
      addon.closePoll(poll);
      resolve(mask);
    });
    polls.push(poll);
    addon.setPoll(poll, events);
  });
}

describe('poll', () => {
  it('says readable when a datagram came', async () => {
    const readable = nextEvent(READABLE);
    send();
    expect(await readable).toBe(READABLE);
    expect(receive()).toBe(1);
  });

  it('says writable, and both at once', async () => {
    expect(await nextEvent(WRITABLE)).toBe(WRITABLE);
    send();
    expect(await nextEvent(READABLE | WRITABLE)).toBe(READABLE | WRITABLE);
  });

  it('repeats for as long as something waits, and stops when it is told to', async () => {
    let events = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const poll = addon.createPoll(socket.fd, () => {
      if (++events < 3) return;
      addon.setPoll(poll, 0);
      resolve();
    });
    polls.push(poll);
    addon.setPoll(poll, READABLE);
    send();
    await promise;
    for (let i = 0; i < 5; i++) await setImmediate();
    expect(events).toBe(3);
    addon.setPoll(poll, READABLE);
    await nextTurnUntil(() => events > 3);
    addon.setPoll(poll, 0);
  });

  it('is silent when closed, and closing twice or using it after that does nothing', async () => {
    let events = 0;
    const poll = addon.createPoll(socket.fd, () => events++);
    addon.setPoll(poll, READABLE);
    send();
    addon.closePoll(poll);
    addon.closePoll(poll);
    addon.setPoll(poll, READABLE);
    for (let i = 0; i < 5; i++) await setImmediate();
    expect(events).toBe(0);
    // The descriptor may be polled anew at once.
    expect(await nextEvent(READABLE)).toBe(READABLE);
  });

  it('lives through a descriptor that is closed under it, at whatever moment', async () => {
    for (const turns of [0, 1, 2]) {
      const other = addon.openUdp(4, 0, 0, 1 << 16, true);
      const poll = addon.createPoll(other.fd, () => undefined);
      addon.setPoll(poll, READABLE);
      for (let i = 0; i < turns; i++) await setImmediate();
      addon.close(other.fd);
      await setImmediate();
      addon.setPoll(poll, READABLE | WRITABLE);
      await setImmediate();
      // Port and descriptor are free as soon as the poll is closed too.
      addon.closePoll(poll);
      const again = addon.openUdp(4, other.port, 0, 1 << 16, true);
      expect(again.error).toBe(0);
      addon.close(again.fd);
    }
  });

  it('refuses what cannot be polled', () => {
    const before = openDescriptors();
    const file = openSync('/dev/null', 'r');
    expect(() => addon.createPoll(file, () => undefined)).toThrow('cannot be polled');
    closeSync(file);
    expect(() => addon.createPoll(file, () => undefined)).toThrow('cannot be polled');
    expect(openDescriptors()).toBe(before);
  });

  it('gives its own descriptor back', async () => {
    const before = openDescriptors();
    for (let i = 0; i < times(1000); i++) {
      const poll = addon.createPoll(socket.fd, () => undefined);
      addon.setPoll(poll, READABLE);
      addon.closePoll(poll);
    }
    await setImmediate();
    expect(openDescriptors()).toBe(before);
  });
});

async function nextTurnUntil(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}

describe('programs', () => {
  it('an exception in a callback is an uncaughtException, and later events still come', async () => {
    expect(await runProgram('poll-exception')).toBe('uncaught: from the callback\nnext event\n');
  });

  it('a poll that nobody holds is collected; one that is open keeps the process alive', async () => {
    expect(await runProgram('poll-lifetime')).toBe('collected\nended by the poll\n');
  });
});
