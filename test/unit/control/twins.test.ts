/** Two machines with one identity are told from one that restarts, reconnects or moves. */
import { expect, test } from 'vitest';
import type { ReplicaId } from '../../../src/control/model.ts';
import { TWINS_REMEMBERED, TwinWatch } from '../../../src/control/twins.ts';

const REPLICA = 'r' as ReplicaId;

/** What is found after streams of `run@address`, a second apart. */
function after(...openings: string[]): readonly string[] | undefined {
  const watch = new TwinWatch();
  let found: readonly string[] | undefined;
  for (const [i, opening] of openings.entries()) {
    const [run, address] = opening.split('@') as [string, string];
    found = watch.handleOpened(REPLICA, run, address, i * 1_000);
  }
  return found;
}

test('two that take turns are found, with where they are', () => {
  expect(after('x@b', 'y@a', 'x@b', 'y@a')).toEqual(['a', 'b']);
  // Behind one NAT.
  expect(after('x@a', 'y@a', 'x@a', 'y@a')).toEqual(['a']);
  expect(after('x@a', 'y@b', 'z@c', 'x@a', 'y@b')).toEqual(['a', 'b', 'c']);
});

test.each([
  ['reconnects', ['x@a', 'x@a', 'x@a', 'x@a', 'x@a']],
  ['flaps between two uplinks', ['x@a', 'x@b', 'x@a', 'x@b', 'x@a']],
  ['restarts again and again', ['u@a', 'v@a', 'w@a', 'x@a', 'y@a', 'z@a']],
  ['moves to another host', ['x@a', 'x@a', 'y@b', 'y@b', 'y@b']],
  ['restarts while a request of the run before is late', ['x@a', 'y@a', 'x@a', 'y@a'].slice(0, 3)],
])('one that %s is one', (_what, openings) => {
  expect(after(...openings)).toBeUndefined();
});

test('is forgotten when they no longer take turns, and with the replica', () => {
  const watch = new TwinWatch();
  for (let i = 0; i < 6; i++) watch.handleOpened(REPLICA, `${i % 2}`, `a${i % 2}`, i);
  expect(watch.twins(REPLICA, TWINS_REMEMBERED)).toEqual(['a0', 'a1']);
  expect(watch.twins(REPLICA, TWINS_REMEMBERED + 10)).toBeUndefined();
  watch.forget(REPLICA);
  expect(watch.twins(REPLICA, 5)).toBeUndefined();
});
