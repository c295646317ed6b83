/** What the policy commands print, and how they know the connection that they are typed over. */
import { expect, test } from 'vitest';
import { formatExplanation } from '../../../src/cli/policy-explain.ts';
import { formatHistory } from '../../../src/cli/policy-history.ts';
import { sshConnections } from '../../../src/cli/policy-request.ts';
import { formatResults } from '../../../src/cli/policy-set.ts';

const NETWORK = { id: '00000000-0000-4000-8000-000000000001', name: 'default' } as never;
const LONG = 'plants reach the office only by SSH since the incident of last week, see the ticket';

function narrow(text: string): string {
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  return text;
}

test('test results say which rule decided, and how many failed', () => {
  const decided = { logged: [], sourceConnectors: [], destinationConnectors: [] };
  const text = formatResults({
    passed: false,
    results: [
      {
        ...decided,
        number: 1,
        flow: '10.1.0.7 → turin tcp 22',
        expect: 'allow',
        verdict: 'allow',
        rule: 12,
        passed: true,
      },
      {
        ...decided,
        number: 2,
        flow: 'fd01::7 → fd02::9 icmp echo-request',
        expect: 'allow',
        verdict: 'deny',
        rule: null,
        passed: false,
      },
    ],
  });
  expect(narrow(text)).toMatch(/^2 +FAILED +allow +default deny +fd01::7 → fd02::9/m);
  expect(text).toMatch(/^1 +passed +allow +rule 12: allow /m);
  expect(text).toContain('1 of 2 tests failed.');
});

test('the history and an explanation fit 80 columns', () => {
  const version = { vnet: NETWORK, version: 3, default: 'deny', rules: 12, tests: 4 } as const;
  const history = [
    { ...version, author: 'local', created: '2026-01-02T03:04:05.678Z', comment: LONG },
  ];
  expect(narrow(formatHistory(history))).toContain('3        2026-01-02T03:04:05  local  12');
  expect(formatHistory([])).toContain('everything is allowed');
  const text = formatExplanation({
    ...{ vnet: NETWORK, version: 3, flow: 'office → 10.2.0.9 tcp 22', verdict: 'deny' },
    ...{ rule: 2, logged: [1], why: 'rule 2 denies it', sourceConnectors: ['office'] },
    ...{ destinationConnectors: [], text: `{"action":"deny","comment":"${LONG}"}` },
  });
  expect(narrow(text)).toMatch(/destination of: +\(the Internet\)/);
  expect(text).toMatch(/because: +rule 2 denies it/);
});

test('the SSH connection is that of the shell', () => {
  const ssh = { SSH_CONNECTION: '10.1.0.7 50122 10.2.0.1 2222' };
  expect(sshConnections(ssh)).toEqual([
    { source: '10.1.0.7', destination: '10.2.0.1', port: 2_222 },
  ]);
  expect(sshConnections({ SSH_CONNECTION: 'nonsense' })).toEqual([]);
});
