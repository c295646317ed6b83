/** Whatever the addon is called with, it answers or throws; it never ends the process. */
import { constants } from 'node:os';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { bindInbound, bindOutbound } from '../../src/native/bindings.ts';
import { EndpointTable, InboundVector, OutboundVector } from '../../src/vector.ts';
import { addon, openDescriptors, times, untyped } from './addon-under-test.ts';

const outbound = new OutboundVector(4, 4096);
const inbound = new InboundVector(4, 8, 4096, 2);
const table = new EndpointTable(3);
const handles = {
  outbound: bindOutbound(addon, outbound),
  inbound: bindInbound(addon, inbound),
  endpoints: addon.bindEndpoints(table.bytes),
  keys: addon.createKeys(2),
  noise: addon.createNoise(new Uint8Array(416)),
};
const key = new Uint8Array(32).fill(1);

afterAll(() => {
  addon.release(handles.endpoints);
  addon.release(handles.keys);
  addon.release(handles.noise);
});

const columns = (count: number): Uint8Array => new Uint8Array(count * 40);

/** Arguments that are right, except that descriptors are none: -1. */
const RIGHT: Record<string, unknown[]> = {
  bindResults: [addon.results],
  bindOutbound: [new Uint8Array(100), columns(2), 2],
  bindInbound: [
    new Uint8Array(100),
    new Uint8Array(12 * 3 + 36 * 3),
    new Uint8Array(48),
    new Uint8Array(36),
    3,
    3,
  ],
  bindEndpoints: [new Uint8Array(96)],
  openTun: ['a-name-that-is-too-long', true, false, true, 0],
  tunName: [-1],
  tunRead: [-1, handles.outbound, 0, 0, 1420, 1000],
  coalesce: [handles.inbound, 0, true, true],
  tunWrite: [-1, handles.inbound, 0],
  openUdp: [4, 0, 0, 1000, true],
  setMark: [-1, 1],
  setDontFragment: [-1, true],
  socketDrops: [-1],
  udpReceive: [-1, handles.inbound, 2],
  udpSend: [-1, -1, true, true, handles.outbound, 0, handles.endpoints, false],
  forgetPaths: [handles.endpoints],
  createKeys: [2, false],
  setKeys: [handles.keys, 0, key, key],
  clearKeys: [handles.keys, 1],
  sealVector: [handles.keys, handles.outbound, 0],
  openVector: [handles.keys, handles.inbound, 0],
  createNoise: [new Uint8Array(416)],
  noiseHash: [handles.noise, 32],
  noiseMac: [handles.noise, 32],
  noiseKdf: [handles.noise, 32, 1],
  noiseX25519: [handles.noise],
  noiseX25519Base: [handles.noise],
  noiseSeal: [handles.noise, 32, 32],
  noiseOpen: [handles.noise, 32, 32],
  close: [-1],
  random: [new Uint8Array(10)],
  networkNamespace: [],
  openNetlink: [1, -1, 0, 4_096],
  filterNetlink: [-1, 1, 167],
  receive: [-1, new Uint8Array(10)],
  send: [-1, new Uint8Array(10)],
  // An abstract name that nobody has.
  sendUnixDatagram: [new Uint8Array([0, 99, 119, 45, 110, 111, 110, 101]), new Uint8Array(10)],
};

/** Calls it and gives back what it made: a descriptor or a handle. */
function call(name: string, args: unknown[]): void {
  const result = untyped[name]!(...args);
  if (name === 'openUdp') addon.close((result as { fd: number }).fd);
  else if (name === 'openNetlink') addon.close(result as number);
  else if (name.startsWith('bind') && name !== 'bindResults') untyped.release!(result);
  else if (name === 'createKeys') untyped.release!(result);
}

const STRANGE: unknown[] = [
  undefined,
  null,
  true,
  'text',
  '7',
  7n,
  Symbol('s'),
  {},
  [],
  [1, 2],
  () => 0,
  new Date(0),
  new ArrayBuffer(32),
  new DataView(new ArrayBuffer(32)),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  0.5,
  -1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  new Uint8Array(0),
  new Uint8Array(31),
  new Float64Array(4),
  new BigInt64Array(4),
  new Proxy(new Uint8Array(32), {}),
  { valueOf: () => 1 },
  'x'.repeat(1000),
];

describe('arguments', () => {
  it('are those of every function', () => {
    const tested = new Set([...Object.keys(RIGHT), 'release', 'trimMemory']);
    const polls = ['createPoll', 'setPoll', 'closePoll'];
    const functions = Object.keys(addon).filter((name) => typeof untyped[name] === 'function');
    expect(functions.filter((name) => !tested.has(name) && !polls.includes(name))).toEqual([]);
  });

  it.each(Object.keys(RIGHT))('%s takes right ones and refuses too few', (name) => {
    const args = RIGHT[name]!;
    const before = openDescriptors();
    call(name, args);
    expect(openDescriptors()).toBe(before);
    const required = name === 'createKeys' ? 1 : args.length;
    for (let n = 0; n < required; n++) {
      expect(() => untyped[name]!(...args.slice(0, n))).toThrow(TypeError);
    }
  });

  it.each(Object.keys(RIGHT))('%s refuses each of another kind with a TypeError', (name) => {
    const args = RIGHT[name]!;
    for (let i = 0; i < args.length; i++) {
      for (const strange of STRANGE) {
        if (typeof strange === typeof args[i] && typeof strange !== 'object') continue;
        if (ArrayBuffer.isView(strange) && ArrayBuffer.isView(args[i])) continue;
        const wrong = args.with(i, strange);
        expect(
          () => call(name, wrong),
          `${name} argument ${i} = ${String(typeof strange)}`,
        ).toThrow(expect.objectContaining({ code: 'ERR_ADDON_ARGUMENT', name: 'TypeError' }));
      }
    }
  });

  it('are refused or answered whatever they are', () => {
    const anything = fc.oneof(fc.constantFrom(...STRANGE), fc.double(), fc.integer());
    const property = fc.property(
      fc.constantFrom(...Object.keys(RIGHT)),
      fc.array(fc.tuple(fc.nat(8), anything), { minLength: 1, maxLength: 3 }),
      (name, changes) => {
        const args = [...RIGHT[name]!];
        // A descriptor that happens to be open is not ours to use.
        if (
          /^(close|send|receive|setMark|setDontFragment|tun|udp|socketDrops|openNetlink|filterNetlink)/.test(
            name,
          )
        )
          return;
        for (const [at, value] of changes) if (at < args.length) args[at] = value;
        // Memory by the gigabyte is no wrong argument.
        if (name === 'bindResults' || name === 'createKeys') return;
        try {
          call(name, args);
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
        }
      },
    );
    fc.assert(property, { numRuns: times(3000) });
    addon.bindResults(addon.results);
  });

  it('that are no whole numbers are no descriptors: NaN does not close 0', () => {
    for (const value of [Number.NaN, 0.5, 2 ** 32, -(2 ** 31) - 1, Number.NEGATIVE_INFINITY]) {
      expect(() => addon.close(value)).toThrow(TypeError);
      expect(() => addon.clearKeys(value as never, 0)).toThrow(TypeError);
    }
    addon.close(-1);
  });
});

describe('handles', () => {
  it('of another kind are refused', () => {
    const kinds = Object.values(handles);
    const wrong = (right: unknown): unknown[] => kinds.filter((handle) => handle !== right);
    for (const [name, at, right] of [
      ['tunRead', 1, handles.outbound],
      ['coalesce', 0, handles.inbound],
      ['tunWrite', 1, handles.inbound],
      ['udpReceive', 1, handles.inbound],
      ['udpSend', 4, handles.outbound],
      ['udpSend', 6, handles.endpoints],
      ['forgetPaths', 0, handles.endpoints],
      ['setKeys', 0, handles.keys],
      ['clearKeys', 0, handles.keys],
      ['sealVector', 0, handles.keys],
      ['sealVector', 1, handles.outbound],
      ['openVector', 1, handles.inbound],
    ] as const) {
      for (const handle of [...wrong(right), 1e6, -1]) {
        const args = RIGHT[name]!.with(at, handle);
        expect(() => untyped[name]!(...args), `${name} ${at}`).toThrow('wrong handle');
      }
    }
  });

  it('that were released are refused', () => {
    const released = addon.createKeys(1);
    addon.release(released);
    expect(() => addon.release(released)).toThrow('wrong handle');
    expect(() => addon.clearKeys(released, 0)).toThrow('wrong handle');
  });

  it('of polls are objects of their own', () => {
    expect(() => untyped.setPoll!(handles.keys, 1)).toThrow('wrong handle');
    expect(() => untyped.setPoll!({}, 1)).toThrow('wrong handle');
    expect(() => untyped.closePoll!(Object.create(null))).toThrow('wrong handle');
    expect(() => untyped.createPoll!(0)).toThrow(TypeError);
    expect(() => untyped.createPoll!(0, {})).toThrow('expected a function');
    expect(() => untyped.createPoll!(-1, () => 0)).toThrow('cannot be polled');
  });
});

describe('memory', () => {
  it('must be of the length that the columns have', () => {
    const arena = new Uint8Array(100);
    expect(() => addon.bindOutbound(arena, columns(2), 3)).toThrow(TypeError);
    expect(() => addon.bindOutbound(arena, columns(2), 0)).toThrow(TypeError);
    expect(() => addon.bindOutbound(arena, columns(2), 2 ** 32 - 1)).toThrow(TypeError);
    expect(() => addon.bindOutbound(arena, new Uint8Array(81).subarray(1), 2)).toThrow('aligned');
    expect(() => addon.bindEndpoints(new Uint8Array(47))).toThrow(TypeError);
    expect(() => addon.bindEndpoints(new Uint8Array(0))).toThrow(TypeError);
    expect(() => addon.bindResults(new Int32Array(7))).toThrow(TypeError);
    const [runs, messages] = [2, 3];
    const right = [arena, new Uint8Array(messages * 12 + runs * 36), new Uint8Array(48)] as const;
    const groups = new Uint8Array(messages * 12);
    expect(() => addon.bindInbound(...right, groups.subarray(1), runs, messages)).toThrow(
      TypeError,
    );
    expect(() => addon.bindInbound(...right, groups, messages, runs)).toThrow(TypeError);
    expect(() => addon.bindInbound(...right, groups, 0, messages)).toThrow(TypeError);
    addon.release(addon.bindInbound(...right, groups, runs, messages));
  });

  it('may be shared between threads', () => {
    const shared = new EndpointTable(2, new SharedArrayBuffer(96));
    addon.release(addon.bindEndpoints(shared.bytes));
  });

  it('that was given away before binding is none', () => {
    const given = new Uint8Array(96);
    structuredClone(given.buffer, { transfer: [given.buffer] });
    expect(() => addon.bindEndpoints(given)).toThrow(TypeError);
    expect(() => addon.createNoise(given)).toThrow(TypeError);
  });
});

describe('numbers outside a vector', () => {
  const results = addon.results;
  const { EINVAL, EBADF } = constants.errno;

  it('are refused by reading, answered by nothing elsewhere', () => {
    addon.tunRead(-1, handles.outbound, 5, 0, 1420, 1000);
    expect(results[0]).toBe(EINVAL);
    addon.tunRead(-1, handles.outbound, 0, 4097, 1420, 1000);
    expect(results[0]).toBe(EINVAL);
    addon.tunRead(-1, handles.outbound, 0, 0, 1420, 1000);
    expect(results[0]).toBe(EBADF);
    addon.udpReceive(-1, handles.inbound, 2 ** 32 - 1);
    expect(results[0]).toBe(EBADF);
    outbound.slot.fill(-1);
    inbound.slot.fill(-1);
    addon.udpSend(-1, -1, true, true, handles.outbound, 2 ** 32 - 1, handles.endpoints, true);
    expect([...results.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
    addon.coalesce(handles.inbound, 2 ** 32 - 1, true, true);
    expect(results[0]).toBe(0);
    expect(addon.tunWrite(-1, handles.inbound, 2 ** 32 - 1)).toBe(0);
    expect(addon.sealVector(handles.keys, handles.outbound, 2 ** 32 - 1)).toBe(0);
    addon.openVector(handles.keys, handles.inbound, 2 ** 32 - 1);
  });

  it('are errors of the kernel where they are descriptors', () => {
    expect(addon.receive(-1, new Uint8Array(1))).toBe(-EBADF);
    expect(addon.send(-1, new Uint8Array(1))).toBe(-EBADF);
    expect(addon.setMark(-1, 1)).toBe(EBADF);
    expect(addon.tunName(-1)).toBe('');
    expect(addon.socketDrops(-1)).toBe(0);
    expect(addon.openUdp(6, 0, 0, 1000, true).fd).not.toBe(0);
    // What every system permits is what there is.
    expect(addon.openUdp(4, 0, 0, 100_000, true).receiveBuffer).toBe(100_000);
    expect(() => addon.openUdp(5 as 4, 0, 0, 1000, true)).toThrow(TypeError);
    expect(() => addon.openUdp(4, 65_536, 0, 1000, true)).toThrow(TypeError);
    const long = addon.openTun('sixteen-letters-', true, false, true, 0);
    expect(long.fd).toBe(-1);
    expect(() => addon.openTun('a\0b', true, false, true, 0)).toThrow(TypeError);
  });
});
