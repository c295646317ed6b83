import { expect, test } from 'vitest';
import { SilenceWatch } from '../../../../src/gateway/mesh/silence.ts';

const peer = (txBytes: number, rxBytes: number) => [{ key: 'a', txBytes, rxBytes }];

test('sending without an answer, twice, is silence; one byte ends it', () => {
  const watch = new SilenceWatch();
  watch.look(peer(0, 0), 30);
  watch.look(peer(148, 0), 60);
  expect(watch.since('a')).toBeUndefined();
  watch.look(peer(296, 0), 90);
  expect(watch.since('a')).toBe(30);
  // Nothing more is tried: that does not make it well.
  watch.look(peer(296, 0), 120);
  expect(watch.since('a')).toBe(30);
  watch.look(peer(444, 92), 150);
  expect(watch.since('a')).toBeUndefined();
});

test('a mesh in which nobody speaks is not silent', () => {
  const watch = new SilenceWatch();
  for (let now = 0; now < 10; now++) watch.look(peer(148, 92), now);
  expect(watch.since('a')).toBeUndefined();
});

test('who is gone is forgotten', () => {
  const watch = new SilenceWatch();
  for (let now = 0; now < 4; now++) watch.look(peer(now * 100, 0), now);
  expect(watch.since('a')).toBeDefined();
  watch.look([], 5);
  expect(watch.since('a')).toBeUndefined();
});
