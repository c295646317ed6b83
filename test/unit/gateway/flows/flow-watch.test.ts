/**
 * Which connections are recorded while the netmap changes. The kernel's messages are recorded ones (of
 * test/unit/tun/conntrack-messages.test.ts): a connection of 10.9.9.1 to 10.9.9.9.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Netmap } from '../../../../src/control/netmap.ts';
import type { FlowEntry } from '../../../../src/gateway/flows/flow-entry.ts';
import { FlowWatch } from '../../../../src/gateway/flows/flow-watch.ts';
import type { ArrivedNetmap } from '../../../../src/gateway/mesh/arrived-netmap.ts';
import { translateNetmap } from '../../../../src/gateway/mesh/netmap-translation.ts';
import type { Addon } from '../../../../src/native/addon.ts';
import { netmap } from '../mesh/netmaps.ts';

vi.mock('../../../../src/gateway/flows/tracking.ts', async (load) => ({
  ...(await load<object>()),
  checkTracking: async () => {},
}));

const DESTROYED =
  '040100000201000000000000c46e0000020000003400018014000180080001000a090901080002000a0909091c0002800500010006000000060002008134000006000300005000003400028014000180080001007f000001080002000a0909011c0002800500010006000000060002001e610000060003008134000008000c00096103dd08000300000003ae08000700000000771c0009800c00010000000000000000050c000200000000000000010f1c000a800c00010000000000000000030c00020000000000000000a41c0014800c00010018ec451bde78037d0c00020018ec451bf360e182100004800c00018005000100070000000c001b0018ec451bf360e1be';
const DONE = '1400000003000200050000006122008f00000000';

const ALONE = netmap({ own: [['10.1.0.0/16', true]] });
const JOINED = netmap({ revision: 2, peers: [{ n: 2, prefixes: [['10.9.9.9/32']] }] });

/** Groups of the socket that ends of connections come on, and of that for answers. */
const ENDS = 4;
const ANSWERS = 0;

/** Netlink sockets whose messages the test puts there. */
class Kernel {
  readonly #queues = new Map<number, Buffer[]>();
  readonly #callbacks = new Map<number, (events: number) => void>();
  readonly addon = {
    openNetlink: (groups: number) => {
      this.#queues.set(groups, []);
      return groups;
    },
    createPoll: (fd: number, callback: (events: number) => void) => {
      this.#callbacks.set(fd, callback);
      return fd;
    },
    receive: (fd: number, into: Uint8Array) => {
      const message = this.#queues.get(fd)!.shift();
      if (message === undefined) return -11;
      into.set(message);
      return message.length;
    },
    send: (_: number, { length }: Uint8Array) => {
      queueMicrotask(() => this.tells(ANSWERS, DONE));
      return length;
    },
    setPoll: () => {},
    closePoll: () => {},
    close: () => {},
  } as unknown as Addon;

  tells(groups: number, hex: string): void {
    this.holds(groups, hex);
    this.#callbacks.get(groups)!(1);
  }

  /** Until it is read. */
  holds(groups: number, hex: string): void {
    this.#queues.get(groups)!.push(Buffer.from(hex, 'hex'));
  }
}

describe('flow watch', () => {
  let kernel: Kernel;
  let lines: FlowEntry[];
  let arrived: ArrivedNetmap | undefined;
  /** Times that the watch has looked at it. */
  let asked = 0;
  /** What the watch waits for. */
  let needed: Promise<void>;
  let closed: Promise<void>;
  let closes: number;
  let watch: FlowWatch;

  const put = (next: Netmap): void => {
    const wanted = translateNetmap(next, () => ({ endpoint: undefined, all: [] }));
    arrived = { netmap: next, wanted, at: Date.now() };
    watch.netmapArrived();
  };
  const recorded = () =>
    lines.map(({ event, connectors }) => `${event} to ${connectors.destination}`);
  const target = () => ({
    write: (line: string) => void lines.push(JSON.parse(line)),
    ...{ written: 0, dropped: 0, fault: undefined },
    close: () => {
      closes++;
      return closed;
    },
  });

  beforeEach(async () => {
    vi.useFakeTimers();
    kernel = new Kernel();
    lines = [];
    arrived = undefined;
    needed = Promise.resolve();
    closed = Promise.resolve();
    closes = 0;
    watch = new FlowWatch({
      interfaceName: 'mesh0',
      addon: kernel.addon,
      arrived: () => {
        asked++;
        return arrived;
      },
      heard: () => 0,
      need: () => needed,
      scratch: '/nowhere',
      onFindings: () => {},
      log: { info: () => {}, warn: () => {}, error: () => {} } as never,
    });
    await watch.apply({ detect: true, target });
  });
  afterEach(() => vi.useRealTimers());

  test('an end is judged by the netmap of its moment, however soon after another', () => {
    put(ALONE);
    kernel.tells(ENDS, DESTROYED);
    expect(recorded()).toEqual([]);
    put(JOINED);
    kernel.tells(ENDS, DESTROYED);
    expect(recorded()).toEqual(['end to site-2']);
    put(ALONE);
    // It began long before the netmap that has no route for it.
    kernel.tells(ENDS, DESTROYED);
    expect(recorded()).toEqual(['end to site-2', 'end to site-2']);
  });

  test('denied flows are named by the netmap of their time', () => {
    const denied = {
      ...{ source: '10.1.0.10', destination: '10.9.9.9', protocol: 'tcp', port: 22 },
      ...{ packets: 1, rule: undefined },
    };
    put(JOINED);
    vi.setSystemTime(Date.now() + 1_000);
    put(ALONE);
    watch.handleDenied({ ...denied, at: Date.now() - 1 });
    watch.handleDenied({ ...denied, at: Date.now() });
    expect(recorded()).toEqual(['denied to site-2', 'denied to null']);
  });

  test('where the log is off, nobody is looked up for a denied flow', async () => {
    put(JOINED);
    await watch.apply({ detect: false, target: undefined });
    asked = 0;
    const flow = { source: '10.1.0.10', destination: '10.9.9.9', protocol: 'tcp', port: 22 };
    watch.handleDenied({ ...flow, at: Date.now(), packets: 1, rule: undefined });
    expect([asked, recorded()]).toEqual([0, []]);
  });

  test('what ends while the settings change is in the log', async () => {
    put(JOINED);
    const need = Promise.withResolvers<void>();
    const close = Promise.withResolvers<void>();
    [needed, closed] = [need.promise, close.promise];
    const changed = watch.apply({ detect: false, target });
    kernel.tells(ENDS, DESTROYED);
    need.resolve();
    await vi.waitUntil(() => closes > 0);
    kernel.tells(ENDS, DESTROYED);
    close.resolve();
    await changed;
    kernel.tells(ENDS, DESTROYED);
    expect(recorded()).toHaveLength(3);
  });

  test('what ended before the log does is in it', async () => {
    put(JOINED);
    kernel.holds(ENDS, DESTROYED);
    await watch.close();
    expect(recorded()).toEqual(['end to site-2']);
  });
});
