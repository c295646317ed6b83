/** What the flow log writes, and when: in virtual time, with connections as the kernel would tell them. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { FlowEntry } from '../../../../src/gateway/flows/flow-entry.ts';
import { ACTIVE_INTERVAL, FlowLog } from '../../../../src/gateway/flows/flow-log.ts';
import type { Ends, Side } from '../../../../src/gateway/flows/flow-sides.ts';
import {
  type ConntrackRecord,
  createConntrackRecord,
  STATUS,
} from '../../../../src/tun/conntrack-messages.ts';

const START = Date.parse('2026-03-01T08:00:00Z');
const side = (connector: string): Side => {
  return { connector, prefix: '10.0.0.0/8', remote: true, whole: false, publicKey: '' };
};
const ENDS: Ends = { source: side('a'), destination: side('b') };

let lines: (FlowEntry & { readonly records?: number | null })[];
let log: FlowLog;
let closed: boolean;

beforeEach(() => {
  lines = [];
  closed = false;
  log = new FlowLog({
    write: (line) => {
      expect(line.endsWith('}\n')).toBe(true);
      lines.push(JSON.parse(line));
    },
    written: 0,
    dropped: 0,
    fault: undefined,
    close: async () => {
      closed = true;
    },
  });
});

function connection(id: number, more: Partial<ConntrackRecord> = {}): ConntrackRecord {
  const record = createConntrackRecord();
  record.original.source.set([10, 1, 0, 10]);
  record.original.destination.set([10, 2, 0, 10]);
  record.reply.source.set([10, 2, 0, 10]);
  record.reply.destination.set([10, 1, 0, 10]);
  const ports = { sourcePort: 40_000, destinationPort: 443 };
  Object.assign(record.original, ports);
  Object.assign(record.reply, { sourcePort: 443, destinationPort: 40_000 });
  return Object.assign(record, {
    ...{ protocol: 6, id, counted: true, status: STATUS.seenReply, start: START },
    ...{ packetsOut: 2, bytesOut: 100, packetsBack: 3, bytesBack: 200 },
    ...more,
  });
}

function look(now: number, ...connections: ConntrackRecord[]): void {
  log.beginLook();
  for (const one of connections) log.handleListed(one, ENDS, now);
  log.endLook(now);
}

describe('flow log', () => {
  test('one that ends before a look comes to it ends once', () => {
    const one = connection(1);
    log.beginLook();
    log.handleEnd(connection(1, { destroyed: true }), ENDS, START);
    log.handleListed(one, ENDS, START);
    log.endLook(START);
    look(START + 30_000);
    look(START + 60_000);
    expect(lines.map(({ event }) => event)).toEqual(['end']);
  });

  test('the end of a connection, with every field', () => {
    log.handleEnd(connection(1, { destroyed: true, stop: START + 1_500 }), ENDS, START + 2_000);
    expect(lines).toEqual([
      {
        time: '2026-03-01T08:00:02.000Z',
        event: 'end',
        verdict: 'allowed',
        protocol: 'tcp',
        source: { address: '10.1.0.10', port: 40_000 },
        destination: { address: '10.2.0.10', port: 443 },
        connectors: { source: 'a', destination: 'b' },
        icmp: null,
        translated: null,
        answered: true,
        sent: { packets: 2, bytes: 100 },
        received: { packets: 3, bytes: 200 },
        start: '2026-03-01T08:00:00.000Z',
        end: '2026-03-01T08:00:01.500Z',
        rule: null,
      },
    ]);
  });

  test('what is not known is null', () => {
    const old = connection(1, {
      counted: false,
      start: 0,
      protocol: 47,
      status: 0,
      packetsBack: 0,
    });
    log.handleEnd(old, { source: undefined, destination: side('b') }, START);
    expect(lines[0]).toMatchObject({
      ...{ sent: null, received: null, start: null, answered: false, protocol: 'gre' },
      source: { port: null },
      connectors: { source: null, destination: 'b' },
    });
  });

  test('a translated connection tells both', () => {
    const record = connection(1, { status: STATUS.targetNat | STATUS.seenReply });
    record.original.destination.set([10, 99, 0, 1]);
    record.reply.sourcePort = 8_443;
    log.handleEnd(record, ENDS, START);
    expect(lines[0]).toMatchObject({
      destination: { address: '10.99.0.1', port: 443 },
      translated: {
        source: { address: '10.1.0.10', port: 40_000 },
        destination: { address: '10.2.0.10', port: 8_443 },
      },
    });
  });

  test('what goes on is told now and then, with the figures so far', () => {
    for (let now = START; now <= START + 2.5 * ACTIVE_INTERVAL; now += 30_000) {
      look(now, connection(1, { bytesOut: (now - START) / 1_000 }));
    }
    expect(lines.map(({ event, time, end }) => [event, time, end])).toEqual([
      ['active', '2026-03-01T08:10:00.000Z', null],
      ['active', '2026-03-01T08:20:00.000Z', null],
    ]);
    expect(lines.map(({ sent }) => sent!.bytes)).toEqual([600, 1_200]);
    log.handleEnd(connection(1), ENDS, START + 3 * ACTIVE_INTERVAL);
    expect(lines.at(-1)).toMatchObject({ event: 'end', end: '2026-03-01T08:30:00.000Z' });
    // Nothing more of it.
    for (let i = 0; i < 5; i++) look(START + 4 * ACTIVE_INTERVAL + i);
    expect(lines).toHaveLength(3);
  });

  test('one that was answered stays so, and the figures are those of the last look', async () => {
    const silent = { status: 0, packetsBack: 0, bytesBack: 0 };
    look(START, connection(1, silent), connection(2, silent));
    look(START + 30_000, connection(1, { bytesBack: 7 }), connection(2, silent));
    await log.close(START + 31_000);
    expect(lines).toMatchObject([
      { answered: true, received: { packets: 3, bytes: 7 } },
      { answered: false, received: { packets: 0, bytes: 0 } },
    ]);
  });

  test('an end whose event was lost is found by two looks', () => {
    look(START, connection(1), connection(2));
    look(START + 30_000, connection(2));
    expect(lines).toEqual([]);
    look(START + 60_000, connection(2));
    expect(lines).toMatchObject([{ event: 'end', end: null, sent: { bytes: 100 } }]);
    // An end that comes after all is not told again by a look.
    log.handleEnd(connection(2), ENDS, START + 61_000);
    look(START + 90_000);
    look(START + 120_000);
    expect(lines).toHaveLength(2);
  });

  test('at the end what goes on is open', async () => {
    look(START, connection(1));
    await log.close(START + 1_000);
    expect(lines).toMatchObject([{ event: 'open', end: null, time: '2026-03-01T08:00:01.000Z' }]);
    expect(closed).toBe(true);
  });

  test('denied, by whom, and lost events', () => {
    const denied = { at: START, source: '10.1.0.10', destination: '10.2.0.10', packets: 4 };
    log.handleDenied({ ...denied, protocol: 'udp', port: 53, rule: 3 }, ENDS);
    log.handleDenied({ ...denied, protocol: 'icmp', port: 8, rule: undefined }, ENDS);
    log.handleLost(START);
    expect(lines).toMatchObject([
      {
        ...{ event: 'denied', verdict: 'denied', rule: 3, sent: { packets: 4, bytes: null } },
        destination: { address: '10.2.0.10', port: 53 },
      },
      { rule: null, destination: { port: null } },
      { event: 'gap', records: null },
    ]);
  });

  test('remembers a bounded number', async () => {
    const many = Array.from({ length: 40_000 }, (_, id) => connection(id));
    look(START, ...many);
    await log.close(START);
    expect(lines).toHaveLength(32_768);
  });
});
