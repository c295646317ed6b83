/** Each fault that facts can show: just its step fails, in words that say what to do. */
import { describe, expect, test } from 'vitest';
import type { KernelFacts } from '../../../../src/gateway/explain/side-facts.ts';
import {
  type CasePlan,
  DESTINATION,
  failedOf,
  fault,
  kernelFacts,
  refused,
  sent,
  stepsOf,
} from './facts.ts';

/** Site b with another kernel. */
function atB(more: Partial<KernelFacts>) {
  return { b: { kernel: kernelFacts(2, 1, more) } };
}

function commandsOf(step: ReturnType<typeof fault>): readonly string[] {
  return step.remedy?.commands ?? [];
}

describe('nothing is wrong', () => {
  test('every step is ok, in the order of the packet and its answer', () => {
    const steps = stepsOf();
    expect(steps.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(steps.map(({ step, at }) => `${at} ${step}`)).toEqual([
      ...['a source', 'a forwarding', 'a rp_filter', 'a firewall', 'a route', 'a policy'],
      ...['a path', 'b gateway', 'b accept', 'b policy', 'b forwarding', 'b rp_filter'],
      ...['b firewall', 'b destination', 'b return route', 'b return policy', 'a return'],
    ]);
    expect(steps.find(({ step }) => step === 'path')?.text).toBe(
      'To b relayed via edge (192.0.2.1:51820), RTT 12.3 ms, MTU 1280, last handshake 9 s ago.',
    );
  });

  test('the way back may be another, and an MTU may not be known yet', () => {
    const path = (plan: CasePlan) => stepsOf(plan).find(({ step }) => step === 'path')?.text;
    expect(path({ b: { path: { kind: 'direct', mtu: 1_400 } } })).toContain(
      's ago. The way back is another: direct, MTU 1400.',
    );
    expect(path({ session: { mtu: null } })).toContain('MTU not known yet, 1420 at most');
  });

  test('in mirror, the path is seen from here', () => {
    const steps = stepsOf({ hereIs: 'target' });
    expect(steps.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(steps[0]).toMatchObject({ step: 'gateway', at: 'a' });
    expect(steps.find(({ step }) => step === 'path')?.at).toBe('b');
    expect(steps.at(-1)).toMatchObject({ step: 'return', at: 'a' });
  });

  test('a gateway itself is the end: nothing is forwarded there', () => {
    const own = { own: true, lan: null, neighbour: null };
    const steps = stepsOf(
      atB({ ...own, toNear: { forwarded: refused('local'), own: refused('local') } }),
    );
    expect(steps.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(steps.some(({ step, at }) => step === 'forwarding' && at === 'b')).toBe(false);
  });
});

describe('the site', () => {
  test('a prefix that waits for approval', () => {
    const step = fault({ a: { near: { kind: 'pending', prefix: '10.1.0.0/24' } } });
    expect(step).toMatchObject({ step: 'source', at: 'a', remedy: { at: 'edge' } });
    expect(commandsOf(step)).toEqual(['connector routes approve 10.1.0.0/24 --connector a']);
  });

  test('a replica that stands by', () => {
    expect(fault({ b: { serving: false } }).text).toContain('stands by');
  });

  test('an interface that is down, or has no carrier', () => {
    const lan = { device: 'lan0', connected: true };
    const wan = sent('wan0', '0.0.0.0/0', '192.0.2.1');
    const toNear = { forwarded: wan, own: wan };
    const down = fault(atB({ lan: { ...lan, state: 'down' }, toNear }));
    expect(down).toMatchObject({ step: 'destination', at: 'b', remedy: { at: 'b' } });
    expect(commandsOf(down)).toEqual(['ip link set lan0 up']);
    const cable = fault(atB({ lan: { ...lan, state: 'no-carrier' } }));
    expect(cable.text).toContain('no carrier');
  });

  test('a host that does not answer, or the router to it', () => {
    const step = fault(atB({ neighbour: 'silent' }));
    expect(step.text).toContain(`${DESTINATION} does not answer on lan0`);
    const by = sent('lan0', '10.2.0.0/16', '10.9.0.1');
    const routed = fault(atB({ neighbour: 'silent', toNear: { forwarded: by, own: by } }));
    expect(routed.text).toContain('the router 10.9.0.1 does not answer');
  });

  test('no route to it, or one that leads elsewhere', () => {
    const none = refused('no-route');
    const lost = fault(atB({ lan: null, neighbour: null, toNear: { forwarded: none, own: none } }));
    expect(lost.text).toContain('this host has no route to it');
    const astray = sent('wan0', '10.2.0.10/32', '192.0.2.1');
    const step = fault(atB({ neighbour: null, toNear: { forwarded: astray, own: astray } }));
    expect(commandsOf(step)).toEqual(['ip route del 10.2.0.10/32 via 192.0.2.1 dev wan0']);
    const back = sent('causeway0', '10.2.0.0/24');
    expect(
      fault(atB({ lan: null, neighbour: null, toNear: { forwarded: back, own: back } })).text,
    ).toContain('into the mesh');
  });
});

test('a way out is not asked about what it has beside the Internet', () => {
  const near = { kind: 'route', prefix: '0.0.0.0/0' } as const;
  const step = fault({ b: { near, kernel: null } });
  expect(step).toMatchObject({ step: 'destination', at: 'b' });
  expect(step.text).toContain('does not send 10.2.0.10 there');
  const internet = stepsOf({ b: { near } }).find(({ step: name }) => name === 'destination');
  expect(internet?.text).toContain('leaves with the address of this gateway');
});

describe('the kernel', () => {
  test('forwarding is off: the routes are looked at all the same', () => {
    const none = refused('unreachable');
    const { toNear, toFar } = kernelFacts(2, 1);
    const off = {
      forwarding: false,
      toNear: { ...toNear, forwarded: none },
      toFar: { ...toFar, forwarded: none },
    };
    const step = fault(atB(off));
    expect(step).toMatchObject({ step: 'forwarding', at: 'b' });
    expect(commandsOf(step)).toEqual(['sysctl -w net.ipv4.ip_forward=1']);
  });

  test('forwarding is off for one interface', () => {
    const { toNear } = kernelFacts(2, 1);
    const step = fault(atB({ toNear: { ...toNear, forwarded: refused('unreachable') } }));
    expect(commandsOf(step)).toEqual(['sysctl -w net.ipv4.conf.causeway0.forwarding=1']);
  });

  test('rp_filter is strict and the way back is another; strict alone is no fault', () => {
    expect(failedOf(stepsOf(atB({ strict: ['causeway0'] })))).toEqual([]);
    const { toNear } = kernelFacts(2, 1);
    const rejected = { ...toNear, forwarded: refused('rejected') };
    const step = fault(atB({ strict: ['causeway0'], toNear: rejected }));
    expect(step).toMatchObject({ step: 'rp_filter', at: 'b' });
    expect(commandsOf(step)).toEqual(['sysctl -w net.ipv4.conf.causeway0.rp_filter=2']);
    expect(fault(atB({ toNear: rejected })).text).toContain('an address of its own');
    const vlan = {
      ...{ lan: { device: 'eth0.7', state: 'up', connected: true } as const },
      ...{
        toNear: { forwarded: sent('eth0.7', '10.2.0.0/24'), own: sent('eth0.7', '10.2.0.0/24') },
      },
      toFar: { ...kernelFacts(2, 1).toFar, forwarded: refused('rejected') },
    };
    expect(commandsOf(fault(atB({ ...vlan, strict: ['eth0.7'] })))).toEqual([
      'sysctl -w net/ipv4/conf/eth0.7/rp_filter=2',
    ]);
  });

  const filter: KernelFacts['filters'][number] = {
    ...({ tool: 'nft', family: 'inet', table: 'filter', chain: 'forward' } as const),
    ...({ hook: 'forward', product: 'nftables', way: 'flow', passage: 'dropped' } as const),
  };

  test('a chain drops it, by whichever product', () => {
    const commands = (more: object): readonly string[] =>
      commandsOf(fault(atB({ filters: [{ ...filter, ...more }] })));
    expect(commands({})).toEqual([
      'nft insert rule inet filter forward iifname causeway0 accept',
      'nft insert rule inet filter forward oifname causeway0 accept',
    ]);
    const iptables = { tool: 'iptables', family: 'ip', chain: 'FORWARD', product: 'iptables' };
    expect(commands(iptables)[0]).toBe('iptables -I FORWARD -i causeway0 -j ACCEPT');
    expect(commands({ ...iptables, product: 'Docker' })[0]).toContain('DOCKER-USER');
    expect(commands({ ...iptables, product: 'ufw' })[0]).toContain('ufw route allow');
    expect(commands({ hook: 'input', chain: 'input' })).toEqual([
      'nft insert rule inet filter input iifname causeway0 accept',
    ]);
    expect(commands({ ...iptables, hook: 'input', chain: 'INPUT' })).toEqual([
      'iptables -I INPUT -i causeway0 -j ACCEPT',
    ]);
  });

  test('a rule puts another address in place of the true one', () => {
    const masquerade: KernelFacts['rewrites'][number] = {
      ...({ tool: 'iptables', family: 'ip', table: 'nat', chain: 'POSTROUTING' } as const),
      ...({ hook: 'postrouting', product: 'iptables', way: 'out' } as const),
    };
    const step = fault(atB({ rewrites: [masquerade] }));
    expect(step).toMatchObject({
      ...{ step: 'addresses', at: 'b' },
      text: "POSTROUTING of iptables puts the gateway's address in place of the source (iptables).",
    });
    expect(commandsOf(step)).toEqual(['iptables -t nat -I POSTROUTING -s 10.1.0.0/24 -j ACCEPT']);
  });

  test('what cannot be judged is not called well', () => {
    const partly: Partial<KernelFacts> = { filters: [{ ...filter, passage: 'partly' }] };
    for (const more of [partly, { filtersRead: false }]) {
      const steps = stepsOf(atB(more)).filter(({ state }) => state !== 'ok');
      expect(steps).toMatchObject([{ step: 'firewall', at: 'b', state: 'unchecked' }]);
    }
  });
});

describe('routes', () => {
  const holder = { connector: 'c', prefix: '10.2.0.0/16', priority: 50 };

  test('nobody has the address', () => {
    const steps = stepsOf({ alone: true, a: { far: { chosen: null, others: [], local: null } } });
    expect(failedOf(steps)).toEqual(['route at a']);
    const mirror = stepsOf({
      ...{ alone: true, hereIs: 'target' },
      b: { far: { chosen: null, others: [], local: null } },
    });
    expect(failedOf(mirror)).toEqual(['accept at b', 'return route at b']);
  });

  test('the Internet, which another connector would take', () => {
    const offer = { connector: 'hq', prefix: '0.0.0.0/0', priority: 100 };
    const steps = stepsOf({
      alone: true,
      a: { far: { chosen: null, others: [offer], local: null } },
    });
    expect(steps.find(({ step }) => step === 'route')?.remedy?.text).toContain('--breakout hq');
  });

  test('others that are less preferred are named', () => {
    const chosen = { connector: 'b', prefix: '10.2.0.0/24', priority: 100 };
    const others = [holder, { connector: 'd', prefix: '10.2.0.0/24', priority: 200 }];
    const route = stepsOf({ a: { far: { chosen, others, local: null } } }).find(
      ({ step }) => step === 'route',
    );
    expect(route).toMatchObject({ state: 'ok' });
    expect(route?.text).toContain('Less preferred: c (the shorter 10.2.0.0/16), d (priority 200).');
  });

  test('at the far side the source is of another connector', () => {
    const chosen = { connector: 'c', prefix: '10.1.0.0/24', priority: 50 };
    const others = [{ connector: 'a', prefix: '10.1.0.0/24', priority: 100 }];
    const steps = stepsOf({ b: { far: { chosen, others, local: null } } });
    expect(failedOf(steps)).toEqual(['accept at b', 'return route at b']);
    expect(steps.find(({ step }) => step === 'return route')?.text).toBe(
      '10.1.0.10 goes to c, not to a: 10.1.0.0/24 goes to c (priority 50), which is preferred to 10.1.0.0/24 of a with priority 100.',
    );
  });

  test('a connected subnet, a local route, and no route at all', () => {
    const chosen = { connector: 'b', prefix: '10.2.0.0/24', priority: 100 };
    const at = (device: string, connected: boolean, gateway: string | null) => {
      const local = { prefix: '10.2.0.0/25', device, connected };
      const away = sent(device, '10.2.0.0/25', gateway);
      const kernel = kernelFacts(1, 2, { toFar: { forwarded: away, own: away } });
      return fault({ a: { far: { chosen, others: [], local }, kernel } });
    };
    expect(at('eth1', true, null)).toMatchObject({
      ...{ step: 'route', at: 'a', text: expect.stringContaining('a connected subnet wins') },
      remedy: { commands: [] },
    });
    expect(commandsOf(at('wan0', false, '192.0.2.1'))).toEqual([
      'ip route del 10.2.0.0/25 via 192.0.2.1 dev wan0',
    ]);
    const none = refused('no-route');
    const missing = kernelFacts(1, 2, { toFar: { forwarded: none, own: none } });
    expect(fault({ a: { kernel: missing } }).text).toContain('this host has no route to it');
    // The default route is nobody's to delete.
    const wan = sent('wan0', '0.0.0.0/0', '192.0.2.1');
    const astray = kernelFacts(1, 2, { toFar: { forwarded: wan, own: wan } });
    expect(commandsOf(fault({ a: { kernel: astray } }))).toEqual([]);
  });

  test('the way back does not lead into the mesh', () => {
    const away = sent('wan0', '10.1.0.0/25', '192.0.2.1');
    const step = fault(atB({ toFar: { forwarded: away, own: away } }));
    expect(step).toMatchObject({ step: 'return route', at: 'b' });
  });
});

describe('the policy', () => {
  const policy = { version: 3, verdict: 'deny', rule: 2, fault: null } as const;

  test('denies it: the far side tells nothing more, and both name the rule', () => {
    const steps = stepsOf({ a: { policy }, b: { policy, kernel: null } });
    expect(failedOf(steps)).toEqual(['policy at a', 'policy at b']);
    expect(steps.find(({ step }) => step === 'policy')?.text).toBe(
      'Version 3: rule 2 denies it: { "action": "deny", "comment": "2" }.',
    );
    const unchecked = steps.filter(({ state }) => state === 'unchecked').map(({ step }) => step);
    expect(unchecked).toEqual(['destination', 'return route', 'return policy']);
  });

  test('the rule to add is about the flow, and a ping that nobody asked for is said to be one', () => {
    const [step] = stepsOf({ a: { policy }, serviceGiven: false }).filter(
      ({ state }) => state === 'failed',
    );
    expect(step?.remedy?.text).toBe(
      'If it is to pass, add { "action": "allow", "from": "10.1.0.10", "to": "10.2.0.10", "protocol": "tcp", "ports": 22 } before rule 2 (`connector policy get`, `set`). This was about a ping: give --proto and --port.',
    );
  });

  test('cannot be enforced', () => {
    const closed = fault({ b: { policy: { ...policy, fault: 'closed' } } });
    expect(closed.text).toContain('nothing passes there');
    const allow = { version: 3, verdict: 'allow', rule: null, fault: 'earlier' } as const;
    const step = stepsOf({ b: { policy: allow } }).find(
      ({ step: name, at }) => name === 'policy' && at === 'b',
    );
    expect(step?.text).toContain('the one before is in force');
  });
});

describe('the other gateway', () => {
  test.each([
    [
      { kind: 'timeout', denied: false, closed: false, alive: false },
      'does not answer through the mesh',
    ],
    [
      { kind: 'timeout', denied: false, closed: false, alive: true },
      'TCP port 10096 does not answer',
    ],
    [
      { kind: 'timeout', denied: false, closed: true, alive: true },
      'or it runs with --no-diagnosis',
    ],
    [
      { kind: 'timeout', denied: false, closed: true, alive: false },
      'or it runs with --no-diagnosis',
    ],
    [
      { kind: 'timeout', denied: true, closed: true, alive: false },
      'allows nothing at all between the two',
    ],
    [{ kind: 'refused' }, '--no-diagnosis'],
    [{ kind: 'busy' }, 'asked too often'],
    [{ kind: 'strange' }, 'another version'],
    [{ kind: 'not-yours', revision: 5 }, 'its netmap is of revision 5, the one here of 7'],
    [{ kind: 'not-ours', revision: 8 }, 'its netmap is of revision 8, the one here of 7'],
  ] as const)('%j', (silence, words) => {
    const step = fault({ silence });
    expect(step).toMatchObject({ step: 'gateway', at: 'b' });
    expect(step.text).toContain(words);
    const rest = stepsOf({ silence }).filter(({ state }) => state === 'unchecked');
    expect(rest).toMatchObject([{ at: 'b' }]);
    // What this side knows is told all the same.
    expect(stepsOf({ silence }).at(-1)).toMatchObject({ step: 'return', at: 'a', state: 'ok' });
    expect(failedOf(stepsOf({ silence, hereIs: 'target' }))).toEqual(['gateway at a']);
  });

  test('is behind a netmap of another revision: said, and no fault', () => {
    const step = stepsOf({ b: { revision: 6 } }).find(({ step: name }) => name === 'gateway');
    expect(step).toMatchObject({
      state: 'ok',
      text: expect.stringContaining('revision 6, here 7'),
    });
  });

  test('is not blamed for an edge that this gateway does not hear', () => {
    const silence = { kind: 'timeout', denied: false, closed: false, alive: false } as const;
    const steps = stepsOf({ silence, session: { edgeSilent: true } });
    expect(failedOf(steps)).toEqual(['path at a']);
    expect(steps.find(({ step }) => step === 'path')?.remedy).toMatchObject({ at: 'a' });
    // What answers is heard.
    expect(failedOf(stepsOf({ session: { edgeSilent: true } }))).toEqual([]);
  });

  test('has no path, or never shook hands', () => {
    expect(fault({ session: { kind: 'none' } })).toMatchObject({ step: 'path' });
    const silence = { kind: 'timeout', denied: false, closed: false, alive: false } as const;
    const never = failedOf(stepsOf({ silence, session: { handshake: null } }));
    expect(never).toEqual(['path at a', 'gateway at b']);
    const over = stepsOf({ silence, session: { handshake: 400 } });
    expect(over.find(({ step }) => step === 'path')?.text).toContain('That session is over.');
  });
});
