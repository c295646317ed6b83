/**
 * Runs in a namespace with an interface `d0`: puts routes and rules there by the route socket and takes
 * some away, waiting for a line of standard input after each step; then counts what listeners hear.
 */
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { loadAddon } from '../../src/native/addon.ts';
import { parsePrefix } from '../../src/routing/prefix.ts';
import type { TableRoute } from '../../src/routing/route-plan.ts';
import { rulesOfFamily } from '../../src/routing/routing-rules.ts';
import { NetlinkSocket } from '../../src/tun/netlink-socket.ts';
import { RouteSocket } from '../../src/tun/route-socket.ts';
import { NETLINK_GROUPS } from '../../src/tun/rtnetlink.ts';

const TABLE = 52_000;
const addon = loadAddon();
const socket = new RouteSocket(addon);
const index = socket.readLinks().find(({ name }) => name === 'd0')!.index;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const step = async (said: object): Promise<void> => {
  process.stdout.write(`${JSON.stringify(said)}\n`);
  await lines.next();
};
const route = (text: string, more: Partial<TableRoute> = {}): TableRoute => {
  return { ...parsePrefix(text)!, ...more };
};
const rules = ([4, 6] as const).flatMap((family) =>
  rulesOfFamily(
    { table: TABLE, mark: 7, priority: 20_000, forwardedOnly: true },
    family,
    true,
    true,
  ),
);

const wanted = [
  route('10.0.0.0/8', { mtu: 1_300 }),
  route('10.1.0.0/16', { kind: 'throw' }),
  route('::/0'),
  route('fd01::/32', { mtu: 1_310 }),
];
let refused = await socket.putRoutes(wanted, TABLE, index);
for (const rule of [...rules, ...rules]) socket.addRule(rule);
await step({ put: refused.size, read: socket.readRoutes(4, TABLE).length });

refused = await socket.putRoutes([route('10.0.0.0/8'), route('10.1.0.0/16')], TABLE, index);
const nowhere = await socket.putRoutes([route('10.2.0.0/16')], TABLE, 9_999);
const gone = await socket.removeRoutes([route('::/0'), route('10.9.0.0/16')], TABLE);
for (const rule of [...rules, ...rules]) socket.removeRule(rule);
await step({ put: refused.size, nowhere: nowhere.size, gone: gone.size });

const heard: Record<string, number[]> = {};
for (const [name, port, protocol] of [
  ['all', 0, 0],
  ['not ours', socket.port, 0],
  ["not tunnels'", 0, 167],
] as const) {
  let count = 0;
  const groups = NETLINK_GROUPS.ipv4Route | NETLINK_GROUPS.ipv6Route;
  const listener = NetlinkSocket.open(addon, groups, -1, () => {
    if (typeof listener !== 'number') listener.drain(() => count++);
  });
  if (typeof listener === 'number') throw new Error(`errno ${-listener}`);
  listener.ignore(port, protocol);
  const counts: number[] = [];
  const make = [
    () => socket.putRoutes([route('10.3.0.0/16'), route('fd03::/32')], TABLE, index),
    () => execFileSync('ip', 'route add 10.4.0.0/16 dev d0 table 52000 proto 167'.split(' ')),
    () => execFileSync('ip', 'route add 10.5.0.0/16 dev d0'.split(' ')),
  ];
  for (const deed of make) {
    const before = count;
    await deed();
    // What is to be heard is in the socket when the deed is done; one turn of the loop reads it.
    await delay(20);
    counts.push(count - before);
  }
  execFileSync('ip', 'route del 10.4.0.0/16 table 52000'.split(' '));
  execFileSync('ip', 'route del 10.5.0.0/16'.split(' '));
  heard[name] = counts;
  listener.close();
}
await step(heard);
socket.close();
process.stdin.destroy();
