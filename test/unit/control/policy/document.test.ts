/** The operator's document: what it may say, and what is said of what it may not. */
import { expect, test } from 'vitest';
import { AddressOwners } from '../../../../src/control/policy/address-owners.ts';
import { NO_POLICY, parseDocument } from '../../../../src/control/policy/document.ts';
import { PolicyEvaluator } from '../../../../src/control/policy/evaluate.ts';
import { checkTests, runPolicyTests } from '../../../../src/control/policy/policy-tests.ts';
import { resolvePolicy } from '../../../../src/control/policy/resolve.ts';
import { CausewayError } from '../../../../src/errors.ts';

const IDS: Readonly<Record<string, string>> = {
  office: '00000000-0000-4000-8000-00000000000a',
  lyon: '00000000-0000-4000-8000-00000000000b',
  turin: '00000000-0000-4000-8000-00000000000c',
};
const resolve = (text: string) =>
  resolvePolicy(parseDocument(text), 1, (name) => IDS[name] as never);

function refusal(text: string): string {
  try {
    resolve(text);
  } catch (error) {
    if (error instanceof CausewayError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

const DOCUMENT = `{
  // Nobody, unless said here.
  "default": "deny",
  "tags": { "plants": ["lyon", "turin"], },
  "rules": [
    { "action": "log", "to": "tag:plants" },
    { "action": "allow", "from": ["office", "192.0.2.7"], "to": "tag:plants",
      "protocol": ["tcp", "udp"], "ports": [22, "8000-8100", 8101] }, /* and */
    { "action": "allow", "protocol": "icmp", "icmp": "echo-request" },
  ],
  "tests": [
    { "from": "10.1.0.7", "to": "turin", "protocol": "tcp", "port": 22, "expect": "allow" },
    { "from": "turin", "to": "10.1.0.7", "protocol": "tcp", "port": 22, "expect": "deny" },
    { "from": "turin", "to": "fd01::7", "protocol": "icmp", "expect": "allow" },
  ],
}`;

test('names become ids, ports become ranges', () => {
  const policy = resolve(DOCUMENT);
  expect(policy).toEqual({
    version: 1,
    default: 'deny',
    tags: { plants: [IDS.lyon, IDS.turin] },
    rules: [
      {
        ...{ action: 'log', from: null, to: { connectors: [], tags: ['plants'], prefixes: [] } },
        ...{ protocols: [], ports: [], icmp: [] },
      },
      {
        action: 'allow',
        from: { connectors: [IDS.office], tags: [], prefixes: ['192.0.2.7/32'] },
        to: { connectors: [], tags: ['plants'], prefixes: [] },
        protocols: [6, 17],
        ports: [
          [22, 22],
          [8000, 8101],
        ],
        icmp: [],
      },
      {
        ...{ action: 'allow', from: null, to: null },
        ...{ protocols: [1, 58], ports: [], icmp: ['echo-request'] },
      },
    ],
  });
  const toInternet = '{ "default": "deny", "rules": [{ "action": "allow", "to": "internet" }] }';
  const { to } = resolve(toInternet).rules[0]!;
  expect(to).toEqual({ connectors: [], tags: [], prefixes: [], internet: true });
  expect(resolve(NO_POLICY)).toMatchObject({ default: 'allow', rules: [] });
});

test('test cases are run, and one that fails says which rule decided', () => {
  const lookup = (name: string) =>
    name === 'turin' ? { ipv4: '100.96.0.3/32', ipv6: 'fd99::3/128' } : undefined;
  const owners = new AddressOwners([
    { connector: IDS.office!, prefixes: ['10.1.0.0/16', 'fd01::/64', '100.96.0.1/32'] },
    { connector: IDS.turin!, prefixes: ['10.3.0.0/16', '100.96.0.3/32', 'fd99::3/128'] },
  ]);
  const evaluate = (text: string) => {
    const parsed = parseDocument(text);
    const policy = resolvePolicy(parsed, 1, (name) => IDS[name] as never);
    return runPolicyTests(parsed, new PolicyEvaluator(policy, owners), lookup);
  };
  const results = evaluate(DOCUMENT);
  expect(results.map(({ passed }) => passed)).toEqual([true, true, true]);
  expect(results[0]!.explanation).toMatchObject({ rule: 2, logged: [1] });
  checkTests(results);
  const broken = evaluate(DOCUMENT.replace('"ports": [22,', '"ports": [23,'));
  expect(() => checkTests(broken)).toThrow(
    'Test 1 of the policy fails: 10.1.0.7 → turin tcp 22 must be allowed, and no rule decides it and the default is deny.',
  );
  expect(() => evaluate(DOCUMENT.replace('"to": "turin"', '"to": "truin"'))).toThrow(
    'Test 1 (line 12, column 5): "truin" is neither an address nor a connector of this network.',
  );
});

const rules = (...list: string[]) => `{"default":"deny","rules":[\n${list.join(',\n')}]}`;

test.each([
  ['', 'POLICY_SYNTAX: The policy cannot be read (line 1, column 1): a value is missing here.'],
  [
    '{"default": deny, "rules": []}',
    '(line 1, column 13): deny is no value: names and text go into double',
  ],
  ['{"default": "deny"\n "rules": []}', '(line 2, column 2): "," is missing'],
  ['{"default": "deny", "rules": [}', '(line 1, column 31)'],
  ['{"default": "deny", "rules": [],', '(line 1, column 33)'],
  ['{"default": "deny", "rules": []} []', '(line 1, column 34): there is something behind the end'],
  ['{"default": "deny", rules: []}', '(line 1, column 21): rules is no value: names and text'],
  ['{"default" "deny"}', '(line 1, column 12): ":" is missing here'],
  ['{"default": "de\nny"}', '(line 1, column 13): this text does not end in its line'],
  ['{"default": "de\\qny"}', '(line 1, column 13): this text has an escape'],
  ['{"default": 0x7}', '(line 1, column 14)'],
  ['{"default": "deny", "default": "allow", "rules": []}', '"default" is here twice'],
  ['{"default": "deny", "rules": [] /* ', 'this comment does not end'],
  ['{"rules": []}', 'POLICY_SYNTAX: The policy is not valid: default (line 1, column 1)'],
  [`{"default": "deny", "rules": ${'['.repeat(100)}`, 'nested too deep'],
  [`"${'x'.repeat(200_001)}"`, 'longer than 180000 characters'],
  [rules('{"action":"allow"}', '{"action":"permit"}'), 'rule 2, action (line 3, column 11)'],
  [rules('{"action":"allow","port":5}'), 'rule 1 (line 2, column 1): Unrecognized key: "port"'],
  [
    rules('{"action":"allow","protocol":"tcp","ports":[70000]}'),
    'rule 1, ports (line 2, column 44): 70000 is neither',
  ],
  [
    rules('{"action":"allow","protocol":"tcp","ports":"9-2"}'),
    '"9-2" is neither a port nor a range',
  ],
  [rules('{"action":"allow","ports":[22]}'), 'ports need "protocol"'],
  [rules('{"action":"allow","icmp":"echo-request"}'), 'ICMP types need "protocol": "icmp"'],
  [rules('{"action":"allow","from":"10.1.2.3/16"}'), 'did you mean 10.1.0.0/16?'],
  [
    rules('{"action":"allow","from":["office","10.1.2"]}'),
    'rule 1, from.1 (line 2, column 36): "10.1.2" is no prefix',
  ],
  [
    rules('{"action":"allow","from":"warsaw"}'),
    'POLICY_UNKNOWN: The policy is not valid: rule 1, from (line 2, column 26): there is no connector "warsaw"',
  ],
  [
    rules('{"action":"allow","to":"tag:warsaw"}'),
    'POLICY_UNKNOWN: The policy is not valid: rule 1, to (line 2, column 24): there is no tag "warsaw"',
  ],
  [
    '{"default":"deny","tags":{"t":["warsaw"]},"rules":[]}',
    'tags.t.0 (line 1, column 32): there is no connector',
  ],
  [
    rules(
      '{"action":"deny","from":["office","10.0.0.0/8"]}',
      '{"action":"allow","from":"10.2.0.0/16","protocol":"tcp","ports":22}',
    ),
    'POLICY_SHADOWED: Rule 2 (line 3, column 1) never decides: rule 1 (line 2, column 1) decides all',
  ],
] as const)('what is refused, %#', (text, expected) => {
  expect(refusal(text)).toContain(expected);
});

// Their paths as text would be 1.4 GB: more than a process has.
test('long names of what holds many values do not fill the memory', () => {
  const name = 'k'.repeat(20_000);
  const value = `[${'0,'.repeat(70_000)}]`;
  expect(refusal(`{ "default": "deny", "rules": [], "${name}": ${value} }`)).toContain(
    'POLICY_SYNTAX',
  );
});

test('places are right in long texts, also at both ends of a line', () => {
  const rules = Array.from({ length: 300 }, () => '{ "action": "log" }');
  rules[299] = '{ "action": "lag" }';
  const message = refusal(`{ "default": "deny",\n"rules": [\n${rules.join(',\n')}] }`);
  expect(message).toContain('rule 300, action (line 302, column 13)');
});
