import { expect, test } from 'vitest';
import { chooseTable, sharedUse } from '../../../src/routing/table-choice.ts';

const nobody = { tables: new Set<number>(), marks: new Set<number>(), priorities: new Set([0]) };

test('the first numbers that nobody uses', () => {
  expect(chooseTable(nobody)).toEqual({ table: 52_000, mark: 52_000, priority: 20_000 });
  const use = {
    tables: new Set([52_000, 52_002]),
    marks: new Set([52_001]),
    priorities: new Set([20_002, 20_005]),
  };
  expect(chooseTable(use)).toEqual({ table: 52_003, mark: 52_003, priority: 20_008 });
  // A mark that the operator chose is the operator's to share.
  expect(chooseTable(use, 7)).toEqual({ table: 52_001, mark: 7, priority: 20_008 });
});

test('what somebody else uses of it is said', () => {
  const ours = { table: 52_000, mark: 52_000, priority: 20_000 };
  expect(sharedUse(ours, nobody)).toBeUndefined();
  expect(sharedUse(ours, { ...nobody, tables: new Set([52_000]) })).toBe('the routing table 52000');
  expect(sharedUse(ours, { ...nobody, marks: new Set([52_000]) })).toBe('the mark 52000');
  expect(sharedUse({ ...ours, mark: 7 }, { ...nobody, marks: new Set([7]) })).toBeUndefined();
  expect(sharedUse(ours, { ...nobody, priorities: new Set([20_003]) })).toBe(
    'the rule priority 20003',
  );
});
