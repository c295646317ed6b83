/** What `connector routes explain` prints for people. */
import { expect, test } from 'vitest';
import { formatExplanation } from '../../../src/cli/routes-explain.ts';
import type { Explanation, Step } from '../../../src/gateway/explain/explanation.ts';
import { kernelFacts, stepsOf } from '../gateway/explain/facts.ts';

function explanation(steps: Step[]): Explanation {
  return {
    ...{ source: '10.1.0.10', destination: '10.2.0.10', connector: 'a', concerned: true },
    flow: '10.1.0.10 → 10.2.0.10 tcp 22',
    ok: steps.every(({ state }) => state === 'ok'),
    steps,
  };
}

/** Lines are at most 80 wide, but for commands, which are to be copied whole. */
function narrow(text: string): string {
  for (const line of text.split('\n')) {
    if (!line.includes('$ ')) expect(line.length).toBeLessThanOrEqual(80);
  }
  return text;
}

test('all is well: grouped by gateway, and what is left to look at', () => {
  const text = narrow(formatExplanation(explanation(stepsOf())));
  expect(text.split('\n').filter((line) => line.startsWith('At '))).toEqual([
    'At a, here:',
    'At b:',
    'At a, here:',
  ]);
  expect(text).toMatch(/^10\.1\.0\.10 → 10\.2\.0\.10 tcp 22\n\nAt a, here:\n {2}ok {6}source /);
  expect(text).toContain('If there is no answer all the same, look\nat 10.2.0.10');
});

test('between gateways themselves there is no host to look at', () => {
  const own = { kernel: kernelFacts(1, 2, { own: true }) };
  const text = narrow(formatExplanation(explanation(stepsOf({ a: own, b: own }))));
  expect(text).toContain('see\nwhether anything listens there');
  expect(text).not.toContain('to its gateway');
});

test('what failed has its remedy below it, and the commands where to type them', () => {
  const kernel = kernelFacts(2, 1, { forwarding: false, neighbour: 'silent' });
  const text = narrow(formatExplanation(explanation(stepsOf({ b: { kernel } }))));
  expect(text).toContain(
    "  FAILED  forwarding     net.ipv4.ip_forward is 0: the packets of the site's\n",
  );
  expect(text).toContain(
    '          -> At b: Switch it on.\n             $ sysctl -w net.ipv4.ip_forward=1\n',
  );
  expect(text).toContain('It does not pass: forwarding at b, destination at b.\n');
});

test('the edge’s commands are the edge’s, long rules are broken at their spaces', () => {
  const policy = { version: 3, verdict: 'deny', rule: 2, fault: null } as const;
  const near = { kind: 'pending', prefix: '10.1.0.0/24' } as const;
  const steps = stepsOf({ a: { policy, near }, b: { policy, kernel: null } });
  const text = narrow(formatExplanation(explanation(steps)));
  expect(text).toContain(
    '-> On the edge: Approve it.\n             $ connector routes approve 10.1.0.0/24 --connector a\n',
  );
  expect(text).toContain('  -       return policy  Answers belong to the flow, which is denied.');
});

test('without an answer of the other gateway it is not called well', () => {
  const steps = stepsOf().map((step): Step => {
    return step.step === 'firewall' ? { ...step, state: 'unchecked' } : step;
  });
  expect(formatExplanation(explanation(steps))).toContain('Not everything could be checked.');
});
