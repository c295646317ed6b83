/**
 * The policy as an operator writes it: one JSON document with comments, connectors and tags by name.
 *
 *   { "default": "deny",
 *     "tags": { "plants": ["lyon", "turin"] },
 *     "rules": [
 *       { "action": "allow", "from": "office", "to": "tag:plants", "protocol": "tcp", "ports": [22, "8000-8100"] },
 *     ],
 *     "tests": [{ "from": "10.1.0.7", "to": "turin", "protocol": "tcp", "port": 22, "expect": "allow" }] }
 */
import { z } from 'zod';
import { CausewayError } from '../../errors.ts';
import { commentSchema, MAX_POLICY_LENGTH, nameSchema } from '../model.ts';
import { type Place, parseCommentedJson } from './commented-json.ts';
import {
  actionSchema,
  MAX_PORTS,
  MAX_RULES,
  MAX_SELECTORS,
  MAX_TAG_MEMBERS,
  MAX_TAGS,
  verdictSchema,
} from './policy.ts';
import { ICMP_NAMES, type IcmpName, PROTOCOL_NAMES, type ProtocolName } from './services.ts';

export const MAX_TESTS = 1_024;

/** What a network without a policy has. */
export const NO_POLICY = `{
  // For what no rule decides: "allow" or "deny".
  "default": "allow",
  // In order; the first that allows or denies decides.
  "rules": [],
}
`;

const wordSchema = z.string().min(1).max(64);
/** One, or a list of them. */
const oneOrMore = <S extends z.ZodType>(schema: S, most: number) =>
  z.union([schema, z.array(schema).min(1).max(most)]);

const protocolSchema = z.enum(PROTOCOL_NAMES as [ProtocolName, ...ProtocolName[]]);
const portsSchema = z.union([z.int(), wordSchema]);

const documentRuleSchema = z.strictObject({
  action: actionSchema,
  /** A connector, `tag:NAME`, a prefix, or `any`, which it is unless given. */
  from: oneOrMore(wordSchema, MAX_SELECTORS).optional(),
  to: oneOrMore(wordSchema, MAX_SELECTORS).optional(),
  protocol: oneOrMore(protocolSchema, PROTOCOL_NAMES.length).optional(),
  ports: oneOrMore(portsSchema, MAX_PORTS).optional(),
  icmp: oneOrMore(z.enum(ICMP_NAMES as [IcmpName, ...IcmpName[]]), ICMP_NAMES.length).optional(),
  comment: commentSchema.optional(),
});
export type DocumentRule = z.infer<typeof documentRuleSchema>;

const documentTestSchema = z.strictObject({
  /** An address, or a connector for its mesh IP. */
  from: wordSchema,
  to: wordSchema,
  protocol: protocolSchema,
  port: z.int().min(0).max(65_535).optional(),
  /** `echo-request` unless given. */
  icmp: z.enum(ICMP_NAMES as [IcmpName, ...IcmpName[]]).optional(),
  expect: verdictSchema,
  comment: commentSchema.optional(),
});
export type DocumentTest = z.infer<typeof documentTestSchema>;

const documentSchema = z.strictObject({
  default: verdictSchema,
  tags: z
    .record(nameSchema, z.array(nameSchema).max(MAX_TAG_MEMBERS))
    .refine((tags) => Object.keys(tags).length <= MAX_TAGS, `more than ${MAX_TAGS} tags`)
    .optional(),
  rules: z.array(documentRuleSchema).max(MAX_RULES),
  tests: z.array(documentTestSchema).max(MAX_TESTS).optional(),
});
export type PolicyDocument = z.infer<typeof documentSchema>;

export interface ParsedDocument {
  readonly document: PolicyDocument;
  /** ` (line 3, column 7)` of a value in it, for messages. */
  readonly where: (path: readonly PropertyKey[]) => string;
}

/** @throws CausewayError POLICY_SYNTAX, with rule number, line and column */
export function parseDocument(text: string): ParsedDocument {
  if (text.length > MAX_POLICY_LENGTH) {
    const most = `${MAX_POLICY_LENGTH} characters`;
    throw new CausewayError('POLICY_SYNTAX', `The policy is longer than ${most}: use tags.`);
  }
  const parsed = parseCommentedJson(text);
  if (!parsed.ok) {
    throw new CausewayError(
      'POLICY_SYNTAX',
      `The policy cannot be read${at(parsed.place)}: ${parsed.message}.`,
    );
  }
  const where = (path: readonly PropertyKey[]): string => at(parsed.placeOf(path));
  const checked = documentSchema.safeParse(parsed.value);
  if (checked.success) return { document: checked.data, where };
  const { path, message } = deepest(checked.error.issues[0]!);
  throw new CausewayError(
    'POLICY_SYNTAX',
    `The policy is not valid: ${describePath(path)}${where(path)}: ${message}.`,
  );
}

/** `rule 3`, `test 1`, or the path. */
export function describePath(path: readonly PropertyKey[]): string {
  const [part, i, ...rest] = path;
  if ((part === 'rules' || part === 'tests') && typeof i === 'number') {
    const name = `${part.slice(0, -1)} ${i + 1}`;
    return rest.length === 0 ? name : `${name}, ${rest.join('.')}`;
  }
  return path.length === 0 ? 'the document' : path.join('.');
}

/** Of a union's faults, those of the alternative that came furthest. */
function deepest(issue: z.core.$ZodIssue): { path: PropertyKey[]; message: string } {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors.flat().map((one) => deepest(one as z.core.$ZodIssue));
  const best = inner.sort((a, b) => b.path.length - a.path.length)[0];
  if (best === undefined) return issue;
  return { path: [...issue.path, ...best.path], message: best.message };
}

function at({ line, column }: Place): string {
  return ` (line ${line}, column ${column})`;
}
