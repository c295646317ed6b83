/** Routes and rules as bytes: what is written is read again, and nothing that is read can throw. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePrefix, prefixOf } from '../../../src/routing/prefix.ts';
import type { TableRoute } from '../../../src/routing/route-plan.ts';
import { rulesOfFamily } from '../../../src/routing/routing-rules.ts';
import {
  type RouteMessage,
  readDumpState,
  readRouteMessages,
} from '../../../src/tun/route-reader.ts';
import { RouteWriter } from '../../../src/tun/route-writer.ts';

function read(bytes: Uint8Array): RouteMessage[] {
  const found: RouteMessage[] = [];
  readRouteMessages(bytes, bytes.length, (message) => found.push(message));
  return found;
}

const route = fc
  .tuple(
    fc.boolean(),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.nat(128),
    fc.constantFrom(undefined, 1_280, 9_000),
    fc.boolean(),
  )
  .map(([six, bytes, length, mtu, throws]): TableRoute => {
    const prefix = six ? prefixOf(bytes, length) : prefixOf(bytes.slice(0, 4), length % 33);
    if (throws) return { ...prefix, kind: 'throw' };
    return { ...prefix, ...(mtu !== undefined && { mtu }) };
  });

test('routes are read as they were written, many in one buffer', () => {
  fc.assert(
    fc.property(fc.array(route, { maxLength: 40 }), (routes) => {
      const writer = new RouteWriter();
      for (const [i, one] of routes.entries()) {
        if (i % 2 === 0) writer.putRoute(one, 52_000, 7, i);
        else writer.removeRoute(one, 52_000, i);
      }
      const messages = read(writer.take());
      expect(messages).toHaveLength(routes.length);
      for (const [i, message] of messages.entries()) {
        const { kind, mtu, family, address, length } = routes[i]!;
        const removed = i % 2 === 1;
        expect(message).toMatchObject({
          kind: 'route',
          route: {
            removed,
            prefix: { family, address: new Uint8Array(address), length },
            ...{ table: 52_000, protocol: 167, kind: kind ?? 'unicast' },
            interfaceIndex: removed || kind !== undefined ? 0 : 7,
            mtu: removed ? undefined : mtu,
          },
        });
      }
    }),
  );
});

test('rules are read as they were written', () => {
  for (const forwardedOnly of [true, false]) {
    for (const family of [4, 6] as const) {
      const target = { table: 52_000, mark: 0xcb20, priority: 20_000, forwardedOnly };
      for (const rule of rulesOfFamily(target, family, true, true)) {
        const writer = new RouteWriter();
        writer.addRule(rule, 1);
        expect(read(writer.take())).toMatchObject([
          { kind: 'rule', rule: { rule, protocol: 167, priority: rule.priority } },
        ]);
      }
    }
  }
});

test('any bytes are read without an error, and cut-off ones give no message twice', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      read(bytes);
      readDumpState(bytes, bytes.length, () => {});
    }),
    { numRuns: 2_000 },
  );
  const writer = new RouteWriter();
  writer.putRoute({ ...parsePrefix('10.0.0.0/8')!, mtu: 1_300 }, 52_000, 7, 1);
  writer.addRule(rulesOfFamily({ table: 1, mark: 1, priority: 1 }, 6, true, false)[1]!, 2);
  const whole = writer.take().slice();
  for (let length = 0; length < whole.length; length++) {
    expect(read(whole.subarray(0, length)).length).toBeLessThan(2);
    for (const value of [0, 1, 0xff]) {
      const damaged = whole.slice();
      damaged[length] = value;
      read(damaged);
    }
  }
});
