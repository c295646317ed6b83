/** From what the data plane found of its paths to routes with MTUs, and to sentences. */
import { expect, test, vi } from 'vitest';
import type { Wanted } from '../../../../src/gateway/mesh/netmap-translation.ts';
import { diagnosePaths } from '../../../../src/gateway/mesh/path-diagnosis.ts';
import { PathWatch } from '../../../../src/gateway/mesh/path-watch.ts';
import { defaultMtus, withMtus } from '../../../../src/gateway/mesh/route-mtus.ts';
import type { Tunnel } from '../../../../src/gateway/tunnel.ts';
import { keyToBase64, type PublicKey, publicKey } from '../../../../src/keys.ts';
import { formatPrefix, parsePrefix } from '../../../../src/routing/prefix.ts';
import { keyText, netmap } from './netmaps.ts';

const KEY = publicKey(new Uint8Array(32).fill(7));
const OTHER = publicKey(new Uint8Array(32).fill(9));

test('routes of a narrow path have its MTU, and IPv6 no less than it asks of a link', () => {
  const map = netmap({ peers: [{ n: 2 }, { n: 3 }, { n: 4, serving: false }] });
  const prefix = (text: string) => parsePrefix(text)!;
  const [v4, v6, range] = ['10.2.0.0/24', 'fd02::/64', '100.96.0.0/12'].map(prefix);
  const wanted: Pick<Wanted, 'routed'> = {
    routed: [
      { publicKey: undefined, prefixes: [range!] },
      { publicKey: keyText(2), prefixes: [v4!, v6!] },
    ],
  };
  const show = (mtus: ReadonlyMap<string, number>): string[] =>
    withMtus(map, wanted, mtus)
      .flat()
      .map((one) => `${formatPrefix(one)} ${one.mtu ?? ''}`.trim());
  const plain = ['100.96.0.0/12', '10.2.0.0/24', 'fd02::/64'];
  expect(show(new Map())).toEqual(plain);
  expect(show(new Map([[keyText(4), 1_200]]))).toEqual(plain);
  expect(show(new Map([[keyText(3), 1_200]]))).toEqual([
    ...plain,
    '100.96.0.3/32 1200',
    'fd00::3/128 1280',
  ]);
  expect(show(new Map([[keyText(2), 1_200]]))).toEqual([
    '100.96.0.0/12',
    '10.2.0.0/24 1200',
    'fd02::/64 1280',
    '100.96.0.2/32 1200',
    'fd00::2/128 1280',
  ]);
});

test('the way out of Internet traffic has the MTU of its path, for what comes back by it', () => {
  const { peers } = netmap({ peers: [{ n: 2 }, { n: 3 }] });
  const through = (n: number) => {
    const peer = peers[n]!;
    const by = { id: peer.connector, name: peer.name, families: [4, 6] as const, peer };
    return { kind: 'through', by, orElse: 'refuse' } as const;
  };
  const paths = new Map([[keyText(2), 1_200]]);
  expect(defaultMtus({ 4: through(0), 6: through(0) }, paths)).toEqual({ 4: 1_200, 6: 1_280 });
  expect(defaultMtus({ 4: through(1), 6: through(0) }, paths)).toEqual({ 6: 1_280 });
  expect(defaultMtus({ 4: { kind: 'own' }, 6: { kind: 'refused' } }, paths)).toEqual({});
});

test('what did not change is the same object, by which a plan knows it', () => {
  const map = netmap({ peers: [{ n: 2 }, { n: 3 }] });
  const prefixes = [parsePrefix('10.2.0.0/24')!];
  const wanted = { routed: [{ publicKey: keyText(2), prefixes }] };
  const before = withMtus(map, wanted, new Map([[keyText(2), 1_200]]));
  const after = withMtus(
    map,
    wanted,
    new Map([
      [keyText(2), 1_200],
      [keyText(3), 1_300],
    ]),
  );
  expect(after[0]).toBe(before[0]);
  expect(before[1]).toHaveLength(2);
  expect(after[1]![0]).toBe(before[1]![0]);
  expect(after[1]![1]).toBe(before[1]![1]);
});

test('a search that goes through several sizes is followed once, and a wide path not at all', () => {
  vi.useFakeTimers();
  let tell: (key: PublicKey, mtu: number) => void = () => {};
  const tunnel: Pick<Tunnel, 'watchPaths'> = {
    watchPaths: (listener) => {
      tell = listener;
    },
  };
  const act = vi.fn(async () => {});
  const watch = new PathWatch({ tunnel, mtu: 1_420, act });
  try {
    tell(KEY, 1_420);
    tell(OTHER, 0);
    vi.advanceTimersByTime(1_000);
    expect(act).not.toHaveBeenCalled();
    for (const mtu of [1_200, 1_280, 1_344]) tell(KEY, mtu);
    vi.advanceTimersByTime(1_000);
    expect(act).toHaveBeenCalledTimes(1);
    expect([...watch.mtus]).toEqual([[keyToBase64(KEY), 1_344]]);
    tell(KEY, 1_344);
    vi.advanceTimersByTime(1_000);
    expect(act).toHaveBeenCalledTimes(1);
    tell(KEY, 0);
    watch.close();
    vi.advanceTimersByTime(1_000);
    expect(act).toHaveBeenCalledTimes(1);
    expect(watch.mtus.size).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('a path below what IPv6 asks of a link is said, a narrow one only told', () => {
  const peer = (connector: string, mtu: number | null) => ({ connector, mtu }) as never;
  const said = (...mtus: (number | null)[]) =>
    diagnosePaths({ mtu: 1_420, peers: mtus.map((mtu, i) => peer(`c${i}`, mtu)) }).map((one) => {
      return `${one.status}: ${one.says}`;
    });
  expect(said(1_420, null)).toEqual(['ok: None is below 1420.']);
  expect(said(1_420, 1_344)).toEqual(['ok: Of 1420: c1 1344.']);
  expect(said(1_216)[0]).toMatch(/^warning: The path to c0 carries packets of at most 1216 bytes/);
});
