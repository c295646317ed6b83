/** Findings as `connector status` and `connector doctor` print them. */
import { expect, test } from 'vitest';
import { formatExamined } from '../../../../src/cli/doctor.ts';
import {
  CHECK_NAMES,
  faultsOf,
  fixable,
  ok,
  problem,
  sentenceOf,
  warning,
  withoutContradiction,
} from '../../../../src/gateway/doctor/finding.ts';

const LONG = 'word '.repeat(60).trim();

test('a paragraph has the commands, unless they are many', () => {
  expect(sentenceOf(ok('lan', 'Fine.'))).toBe('Fine.');
  expect(sentenceOf(problem('lan', 'Bad.', 'a b', 'c d'))).toBe('Bad. `a b`, `c d`.');
  expect(sentenceOf(problem('lan', 'Bad.', 'a', 'b', 'c'))).toBe(
    'Bad. `connector doctor` shows the 3 commands that put it right.',
  );
});

test('what is wrong, problems before warnings', () => {
  const findings = [warning('mtu', 'w'), ok('tun', 'o'), problem('lan', 'p')];
  expect(faultsOf(findings).map(({ says }) => says)).toEqual(['p', 'w']);
});

test('who looked at a part does not say that all is well', () => {
  const findings = [ok('conflicts', 'o'), ok('lan', 'l'), warning('conflicts', 'w')];
  expect(withoutContradiction(findings).map(({ says }) => says)).toEqual(['l', 'w']);
});

test('what a user may not ask is not called stopped', () => {
  const examined = { interface: 'causeway0', connector: null, findings: [], fixed: [] };
  expect(formatExamined({ ...examined, running: false }, [])).toContain('in no mesh, not running');
  expect(formatExamined({ ...examined, running: null }, [])).not.toMatch(/no mesh|not running/);
});

test('80 columns for everything but commands, which are whole', () => {
  const command = ['sysctl', '-w', `net.${'x'.repeat(80)}=1`];
  const fix = { command, undo: [...command.slice(0, 2), 'y=0'] };
  const findings = [
    ...CHECK_NAMES.map((name) => problem(name, LONG)),
    fixable(warning('forwarding', LONG), [fix]),
  ];
  const examined = { interface: 'causeway0', connector: 'a', running: true, findings };
  const done = [{ command: command.join(' '), undo: 'y', failure: null }];
  const failed = [{ command: 'modprobe tun', undo: 'modprobe -r tun', failure: LONG }];
  const lines = formatExamined(examined, [...done, ...failed]).split('\n');
  expect(lines.filter((line) => line.length > 80).every((line) => line.includes(' # sysctl'))).toBe(
    true,
  );
  expect(lines).toContain('to undo  # y');
  expect(lines.at(-2)).toMatch(/^\d+ problems, 1 warning\. `connector doctor --fix` does/);
});
