/** `connector policy get | set FILE | test [FILE]`. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { PolicyTestResults } from '../control/policy-api.ts';
import { CausewayError } from '../errors.ts';
import { numberFrom } from './number-argument.ts';
import { count, print } from './output.ts';
import {
  describeVersion,
  edgePolicyCommand,
  type PolicyOptions,
  policyPath,
  sshConnections,
} from './policy-request.ts';
import { formatTable } from './table.ts';

export interface ChangeOptions extends PolicyOptions {
  readonly force?: true;
}

interface SetOptions extends ChangeOptions {
  readonly comment?: string;
  readonly expect?: number;
}

export function policyGetCommand(): Command {
  return edgePolicyCommand('get').description('print the policy in force').action(get);
}

export function policySetCommand(): Command {
  return edgePolicyCommand('set')
    .description('put a policy into force, if its test cases pass')
    .argument('<file>', 'the document, - for standard input')
    .option('--comment <text>', 'a line for the history')
    .option('--expect <version>', 'only if this version is in force', numberFrom(0, 2 ** 31))
    .option('--force', 'even if it cuts the connection that you work by')
    .action(set);
}

export function policyTestCommand(): Command {
  return edgePolicyCommand('test')
    .description("run a document's test cases; without a file, those of the policy in force")
    .argument('[file]', 'the document, - for standard input')
    .action(test);
}

async function get(options: PolicyOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { policyViewSchema } = await import('../control/policy-api.ts');
  const policy = await openEdge(options).get(await policyPath(options), policyViewSchema);
  print(options, policy, () => (policy.text.endsWith('\n') ? policy.text : `${policy.text}\n`));
}

async function set(file: string, options: SetOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { policyViewSchema } = await import('../control/policy-api.ts');
  const body = {
    text: await readDocument(file),
    comment: options.comment,
    expected: options.expect,
    force: options.force,
    connections: sshConnections(),
  };
  const path = await policyPath(options);
  const policy = await openEdge(options).call('PUT', path, policyViewSchema, body);
  print(options, policy, () => describeVersion(policy));
}

async function test(file: string | undefined, options: PolicyOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { policyTestResultsSchema } = await import('../control/policy-api.ts');
  const body = { text: file === undefined ? undefined : await readDocument(file) };
  const path = await policyPath(options, '/test');
  const results = await openEdge(options).call('POST', path, policyTestResultsSchema, body);
  print(options, results, () => formatResults(results));
  if (!results.passed) process.exitCode = 1;
}

async function readDocument(file: string): Promise<string> {
  try {
    return await readFile(file === '-' ? '/dev/stdin' : file, 'utf8');
  } catch (error) {
    const message = `The policy ${file} cannot be read: ${(error as Error).message}.`;
    throw new CausewayError('FILE_ACCESS', message, { cause: error });
  }
}

export function formatResults({ passed, results }: PolicyTestResults): string {
  if (results.length === 0) return 'The document is valid, and has no test cases.\n';
  const rows = results.map((result) => [
    String(result.number),
    result.passed ? 'passed' : 'FAILED',
    result.expect,
    result.rule === null ? `default ${result.verdict}` : `rule ${result.rule}: ${result.verdict}`,
    result.flow,
  ]);
  const table = formatTable(['TEST', 'RESULT', 'EXPECTED', 'DECIDED BY', 'FLOW'], rows);
  const failed = results.filter((result) => !result.passed).length;
  const all = count(results.length, 'test');
  return `${table}\n${passed ? `${all} passed.` : `${failed} of ${all} failed.`}\n`;
}
