/** Which netmaps a registry knows by their names, over restarts and restored copies. */
import { expect, test } from 'vitest';
import { type Epoch, MAX_EPOCHS } from '../../../src/control/model.ts';
import {
  currentEpoch,
  epochsAfter,
  knownRevision,
  MAX_NETMAP_ID_LENGTH,
  netmapId,
} from '../../../src/control/netmap-id.ts';

const EPOCHS: Epoch[] = [
  { id: 'a', after: 0 },
  { id: 'b', after: 10 },
];

test.each([
  ['a.1', 1],
  ['a.10', 10],
  ['b.11', 11],
  ['b.15', 15],
])('%s is known', (name, revision) => {
  expect(knownRevision(name, EPOCHS, 15)).toBe(revision);
});

test.each([
  'a.0',
  'a.11',
  'b.10',
  'b.16',
  'c.5',
  '5',
  '.5',
  'a.',
  'a.x',
  'a.-1',
  'a.1e1',
  '',
  'a.1.1',
])('%j is not', (name) => {
  expect(knownRevision(name, EPOCHS, 15)).toBeUndefined();
});

test('nothing is known before the first epoch', () => {
  expect(knownRevision(undefined, EPOCHS, 15)).toBeUndefined();
  expect(knownRevision(netmapId(currentEpoch([]), 5), [], 15)).toBeUndefined();
});

test('an opening of the store begins one epoch, with its first change', () => {
  expect(epochsAfter(EPOCHS, 'c', 15)).toEqual([...EPOCHS, { id: 'c', after: 15 }]);
  expect(epochsAfter(EPOCHS, 'a', 15)).toEqual(EPOCHS);
});

test('a copy of the registry that goes on: each knows its own, and what they have in common', () => {
  const copied = epochsAfter([], 'a', 0);
  const ours = epochsAfter(copied, 'b', 10);
  const theirs = epochsAfter(copied, 'c', 10);
  for (const epochs of [ours, theirs]) expect(knownRevision('a.10', epochs, 20)).toBe(10);
  expect(knownRevision('b.12', ours, 20)).toBe(12);
  expect(knownRevision('b.12', theirs, 20)).toBeUndefined();
  // What the first process changed after the copy was made.
  expect(knownRevision('a.12', theirs, 20)).toBeUndefined();
});

test('are bounded', () => {
  let epochs: Epoch[] = [];
  for (let n = 0; n < 2 * MAX_EPOCHS; n++) epochs = epochsAfter(epochs, `e${n}`, n);
  expect(epochs).toHaveLength(MAX_EPOCHS);
  expect(currentEpoch(epochs)).toBe(`e${2 * MAX_EPOCHS - 1}`);
  const longest = netmapId('x'.repeat(32), Number.MAX_SAFE_INTEGER);
  expect(longest.length).toBeLessThanOrEqual(MAX_NETMAP_ID_LENGTH);
});
