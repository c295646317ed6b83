/** What is a fight over the kernel's set-up, and what is one deed seen in parts. */
import { expect, test } from 'vitest';
import { Contention, MOST_WAIT } from '../../../../src/gateway/mesh/contention.ts';

const START = 1_700_000_000_000;

test('what one deed takes away counts once, however many looks see it', () => {
  const contention = new Contention();
  for (let ms = 0; ms < 500; ms += 50) contention.note(['4 routes'], START + ms);
  expect(contention.wait(START + 500)).toBe(0);
  expect(contention.sentence(START + 500)).toBeUndefined();
});

test('who does it all the time is in a fight after two seconds', () => {
  const contention = new Contention();
  let now = START;
  while (contention.wait(now) === 0 && now < START + 10_000) {
    contention.note(['4 routes'], now);
    now += 50;
  }
  expect(now - START).toBeLessThan(2_000);
  expect(contention.sentence(now)).toContain('4 routes');
});

test('waits grow to a minute, and end with peace', () => {
  const contention = new Contention();
  let now = START;
  for (let i = 0; i < 30; i++) {
    contention.note(['a rule'], now);
    now += Math.max(1_000, contention.wait(now));
  }
  contention.note(['a rule'], now);
  expect(contention.wait(now)).toBe(MOST_WAIT);
  expect(contention.wait(now + 6 * 60_000)).toBe(0);
  expect(contention.sentence(now + 6 * 60_000)).toBeUndefined();
});
