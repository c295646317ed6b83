/** Problem documents in words. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sayProblem } from '../../../src/control/problem-text.ts';

const problem = (...errors: { path: string; message: string }[]) => ({
  ...{ type: 'urn:x', title: 'The request is wrong', status: 400, code: 'REQUEST_INVALID' },
  detail: 'The request is not valid: body.name: no.',
  errors,
});

test('without faults it is the detail', () => {
  const { errors: _, ...none } = problem();
  expect(sayProblem(none)).toBe(none.detail);
  expect(sayProblem(problem())).toBe(none.detail);
});

test('fields are words, with the value that was given', () => {
  const body = {
    name: 'A b',
    maxReplicas: 99,
    autoApprove: ['10.0.0.0/8', 'x'],
    text: 'y'.repeat(99),
  };
  const said = (path: string): string => sayProblem(problem({ path, message: 'it is not.' }), body);
  expect(said('body.name')).toBe('The edge does not take the name "A b": it is not.');
  expect(said('body.maxReplicas')).toBe('The edge does not take the max-replicas 99: it is not.');
  expect(said('body.autoApprove.1')).toBe(
    'The edge does not take the auto-approve "x": it is not.',
  );
  expect(said('body.text')).toBe('The edge does not take the text: it is not.');
  expect(said('body.connections.0.port')).toBe(
    'The edge does not take the connections port: it is not.',
  );
  expect(said('query.address')).toBe('The edge does not take the address: it is not.');
  expect(said('body')).toBe('The edge does not take the request: it is not.');
});

test('of many three are told, and no value of a request that is not shown', () => {
  const faults = ['secret', 'proof', 'name', 'comment', 'vnet'].map((name) => {
    return { path: `body.${name}`, message: 'no' };
  });
  expect(sayProblem(problem(...faults))).toBe(
    'The edge does not take the secret: no; the proof: no; the name: no; and 2 more.',
  );
});

test('whatever an edge points to, it is one line of words', () => {
  fc.assert(
    fc.property(fc.string(), fc.jsonValue(), (path, body) => {
      const said = sayProblem(problem({ path, message: 'no' }), body);
      expect(said).toMatch(/^The edge does not take the /);
    }),
  );
});
