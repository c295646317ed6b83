/** docs/errors.md and src/errors.ts name the same codes, and each of them is used. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
const sections = page.split(/^### /m).slice(1);

test('every code has a section, and every section a code', () => {
  const documented = sections.map((section) => section.split('\n')[0]!.trim());
  expect(documented.toSorted()).toEqual(ERROR_CODES.toSorted());
});

test('every section says something', () => {
  for (const section of sections)
    expect(section.split('\n').slice(1).join(' ').length).toBeGreaterThan(40);
});

test('every code is thrown somewhere, and in a sentence', () => {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== 'errors.ts')
    .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'))
    .join('\n');
  const unused = ERROR_CODES.filter((code) => !sources.includes(`'${code}'`));
  expect(unused).toEqual([]);
});

test('whatever carries a code names one of them', () => {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'))
    .join('\n');
  const literals = [...sources.matchAll(/\bcode: '([A-Z][A-Z_]+)'/g)].map(([, code]) => code!);
  const raised = [
    ...sources.matchAll(/(?:CausewayError|document|super)\(\s*'([A-Z][A-Z_]+)'/g),
  ].map(([, code]) => code!);
  expect(literals.length).toBeGreaterThan(1);
  expect(raised.length).toBeGreaterThan(50);
  const known: readonly string[] = ERROR_CODES;
  expect([...literals, ...raised].filter((code) => !known.includes(code))).toEqual([]);
});

test('every answer with a status of its own is of a code that is documented', () => {
  const source = readFileSync(join(ROOT, 'src/edge/problem.ts'), 'utf8');
  const table = /const STATUS[^{]*\{([^}]*)\}/.exec(source)![1]!;
  const answered = [...table.matchAll(/([A-Z_]+): \d{3}/g)].map(([, code]) => code!);
  expect(answered.length).toBeGreaterThan(20);
  const documented = sections.map((section) => section.split('\n')[0]!.trim());
  expect(answered.filter((code) => !documented.includes(code))).toEqual([]);
});
