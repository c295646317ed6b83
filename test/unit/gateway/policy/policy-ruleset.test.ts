/** The text that nft is given: what it says for each kind of rule, and that rules share their sets. */
import { expect, test } from 'vitest';
import { AddressOwners } from '../../../../src/control/policy/address-owners.ts';
import { compilePolicy } from '../../../../src/control/policy/compile.ts';
import { parseDocument } from '../../../../src/control/policy/document.ts';
import { resolvePolicy } from '../../../../src/control/policy/resolve.ts';
import { encodeRuleset } from '../../../../src/gateway/policy/policy-ruleset.ts';

const IDS: Readonly<Record<string, string>> = {
  a: '00000000-0000-4000-8000-00000000000a',
  b: '00000000-0000-4000-8000-00000000000b',
  c: '00000000-0000-4000-8000-00000000000c',
};
const owners = new AddressOwners([
  { connector: IDS.a!, prefixes: ['100.96.0.1/32', 'fd99::1/128', '10.0.0.0/8'] },
  { connector: IDS.b!, prefixes: ['100.96.0.2/32', 'fd99::2/128', '10.2.0.0/16', 'fd02::/64'] },
  { connector: IDS.c!, prefixes: ['100.96.0.3/32', 'fd99::3/128'] },
]);

function rulesFor(own: string, ...rules: string[]): string {
  return rulesWith(true, own, ...rules);
}

/** @param answers whether other gateways' questions are answered */
function rulesWith(answers: boolean, own: string, ...rules: string[]): string {
  const parsed = parseDocument(`{"default":"deny","rules":[${rules.join()}]}`);
  const policy = resolvePolicy(parsed, 1, (name) => IDS[name] as never);
  return encodeRuleset('wg-1', compilePolicy(policy, owners, IDS[own]!), {
    meshRanges: { ipv4: '100.96.0.0/12', ipv6: 'fd99::/48' },
    mesh: { ipv4: '100.96.0.1/32', ipv6: 'fd99::1/128' },
    answers,
  });
}

/** The rules of the policy, and the default. */
function judged(text: string, family: 4 | 6): string[] {
  const chain = text.slice(text.indexOf(`chain judge${family} {`));
  const lines = chain.slice(0, chain.indexOf('\n  }')).split('\n');
  const from = lines.findIndex((line) => line.includes('ct status expected')) + 1;
  return lines.slice(from).map((line) => line.trim());
}

test("a connector's addresses are without what a longer prefix gives to another", () => {
  const text = rulesFor(
    'a',
    '{"action":"allow","from":"a","to":["b","192.0.2.1"],"protocol":"tcp","ports":22}',
  );
  expect(judged(text, 4)).toEqual([
    'meta l4proto 6 ct original ip saddr @set1 ct original ip daddr @set2 ct original proto-dst 22 counter goto allow4 comment "1"',
    'goto deny4',
  ]);
  expect(text).toContain(
    'set set1 { type ipv4_addr; flags interval; elements = { 10.0.0.0-10.1.255.255, 10.3.0.0-10.255.255.255, 100.96.0.1 } }',
  );
  expect(text).toContain('elements = { 10.2.0.0-10.2.255.255, 100.96.0.2, 192.0.2.1 } }');
  expect(judged(text, 6)).toEqual([
    'meta l4proto 6 ct original ip6 saddr fd99::1 ct original ip6 daddr @set3 ct original proto-dst 22 counter goto allow6 comment "1"',
    'goto deny6',
  ]);
});

test('each protocol is a line, ICMP is that of the family, and a log rule lets the next decide', () => {
  const text = rulesFor(
    'a',
    '{"action":"log","to":"a"}',
    '{"action":"allow","protocol":"icmp","icmp":["echo-request","timestamp-request"]}',
    '{"action":"deny","protocol":["udp","icmp","gre"]}',
  );
  expect(judged(text, 6)).toEqual([
    'ct original ip6 daddr fd99::1 counter jump log6 comment "1"',
    'meta l4proto 58 ct original proto-dst 32768-33023 counter goto allow6 comment "2"',
    'meta l4proto 17 counter goto deny6 comment "3"',
    'meta l4proto 58 counter goto deny6 comment "3"',
    'meta l4proto 47 counter goto deny6 comment "3"',
    'goto deny6',
  ]);
  const types = /set (set\d) \{ type inet_service; .*elements = \{ 2048-2303, 3328-3583 \}/.exec(
    text,
  );
  expect(judged(text, 4)[1]).toContain(`ct original proto-dst @${types?.[1]} counter`);
});

test('what concerns only others is left out, and the same addresses are one set', () => {
  const text = rulesFor(
    'c',
    '{"action":"allow","from":"a","to":"b"}',
    ...[1, 2, 3].map((port) => {
      return `{"action":"allow","from":["a","b"],"to":"c","protocol":"tcp","ports":[${port},1${port}]}`;
    }),
  );
  expect(judged(text, 4)).toHaveLength(4);
  expect(text.match(/type ipv4_addr; flags interval/g)).toHaveLength(1);
  expect(text.match(/type inet_service; flags interval/g)).toHaveLength(3);
  for (const hook of ['forward', 'input', 'output']) expect(text).toContain(`hook ${hook}`);
});

test("gateways' questions to each other pass between mesh IPs, and are not forwarded", () => {
  const text = rulesFor('a', '{"action":"deny"}');
  const line = (ip: string, from: string, to: string): string =>
    `meta l4proto 6 ct original ${ip} saddr ${from} ct original ${ip} daddr ${to} ct original proto-dst 10096 counter name "diagnosis" accept`;
  const ours = (rules: string): string[] => {
    const lines = rules.slice(rules.indexOf('chain ours {')).split('\n').slice(1, 4);
    return lines.map((one) => one.trim());
  };
  expect(ours(text)).toEqual([
    line('ip', '100.96.0.0/12', '100.96.0.0/12'),
    line('ip6', 'fd99::/48', 'fd99::/48'),
    'goto judge',
  ]);
  // One that answers nobody asks all the same.
  expect(ours(rulesWith(false, 'a', '{"action":"deny"}'))).toEqual([
    line('ip', '100.96.0.1/32', '100.96.0.0/12'),
    line('ip6', 'fd99::1/128', 'fd99::/48'),
    'goto judge',
  ]);
  const goes = (hook: string): string[] => {
    const chain = text.slice(text.indexOf(`chain ${hook} {`));
    return [...chain.slice(0, chain.indexOf('}')).matchAll(/goto (\w+)/g)].map(([, to]) => to!);
  };
  expect(goes('forward')).toEqual(['judge', 'judge']);
  expect(goes('input')).toEqual(['ours']);
  expect(goes('output')).toEqual(['ours']);
  expect(text.match(/"diagnosis" accept/g)).toHaveLength(2);
});
