/** What stays in force when a policy cannot be put in place. The kernel's part: test/netns/policy.test.ts. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Netmap } from '../../../../src/control/netmap.ts';
import { PolicyEnforcer } from '../../../../src/gateway/policy/policy-enforcer.ts';
import * as table from '../../../../src/gateway/policy/policy-table.ts';
import { netmap } from '../mesh/netmaps.ts';

vi.mock('../../../../src/gateway/setup-state.ts', () => ({ noteSetup: async () => {} }));
vi.mock('../../../../src/gateway/policy/policy-table.ts', { spy: true });

const POLICY = { version: 3, default: 'deny' as const, tags: {}, rules: [] };
const LATER = { version: 4, unheardOf: true };
const map = netmap({ own: [['10.1.0.0/24', true]] });
const having = (more: Pick<Netmap, 'policy' | 'laterPolicy'>): Netmap => ({ ...map, ...more });

let enforcer: PolicyEnforcer;
beforeEach(() => {
  vi.mocked(table.installPolicy).mockReset().mockResolvedValue();
  vi.mocked(table.removePolicy).mockReset().mockResolvedValue();
  vi.mocked(table.readCounters).mockResolvedValue(table.NO_COUNTS);
  const log = pino({ level: 'silent' });
  enforcer = new PolicyEnforcer({
    interfaceName: 'mesh0',
    answers: true,
    log,
    again: async () => {},
  });
});
afterEach(() => enforcer.close());

test('of a later build, with none in force: nothing passes, until one comes that is understood', async () => {
  await enforcer.apply(having({ laterPolicy: LATER }));
  expect(enforcer.closed).toBe(true);
  expect(enforcer.fault).toMatch(/Version 4 .*upgrade this gateway/);
  await enforcer.apply(having({ policy: POLICY }));
  expect([enforcer.closed, enforcer.fault, enforcer.state?.version]).toEqual([false, undefined, 3]);
});

test('of a later build, with one in force: that one stays', async () => {
  await enforcer.apply(having({ policy: POLICY }));
  await enforcer.apply(having({ policy: POLICY, laterPolicy: LATER }));
  expect([enforcer.closed, enforcer.state?.version]).toEqual([false, 3]);
  expect(enforcer.fault).toMatch(/Version 4/);
  // After a restart, from the disk.
  await enforcer.close();
  const anew = new PolicyEnforcer({
    interfaceName: 'mesh0',
    answers: true,
    log: pino({ level: 'silent' }),
    again: async () => {},
  });
  await anew.apply(having({ policy: POLICY, laterPolicy: LATER }));
  expect([anew.closed, anew.state?.version]).toEqual([false, 3]);
  await anew.close();
});

test("other gateways' questions are let in as long as they are answered", async () => {
  const installed = () => vi.mocked(table.installPolicy).mock.calls.at(-1)![1];
  await enforcer.apply(having({ policy: POLICY }));
  const open = installed();
  enforcer.answers = false;
  await enforcer.apply(having({ policy: POLICY }));
  expect(installed()).toContain(`saddr ${map.self.mesh.ipv4} ct original ip daddr`);
  enforcer.answers = true;
  await enforcer.apply(having({ policy: POLICY }));
  expect(installed()).toBe(open);
  expect(table.installPolicy).toHaveBeenCalledTimes(3);
});

test('refused by nft: the one before stays, and without one nothing passes', async () => {
  vi.mocked(table.installPolicy).mockRejectedValueOnce(new Error('It is not here.'));
  await enforcer.apply(having({ policy: POLICY }));
  expect(enforcer.closed).toBe(true);
  expect(enforcer.fault).toBe('It is not here. It needs nftables 1.0 or later: `nft --version`.');
  await enforcer.apply(having({ policy: POLICY }));
  vi.mocked(table.installPolicy).mockRejectedValueOnce(new Error('It is not here.'));
  const rules = [
    { action: 'allow' as const, from: null, to: null, protocols: [6], ports: [], icmp: [] },
  ];
  await enforcer.apply(having({ policy: { ...POLICY, version: 4, rules } }));
  expect([enforcer.closed, enforcer.state?.version]).toEqual([false, 3]);
  await enforcer.apply(having({}));
  expect([enforcer.closed, enforcer.fault, enforcer.state]).toEqual([false, undefined, undefined]);
  expect(table.removePolicy).toHaveBeenCalledOnce();
});
