/** `connector policy history | rollback VERSION`. */
import type { Command } from 'commander';
import type { PolicySummary } from '../control/policy-api.ts';
import { numberFrom } from './number-argument.ts';
import { print } from './output.ts';
import {
  describeVersion,
  edgePolicyCommand,
  type PolicyOptions,
  policyPath,
  sshConnections,
} from './policy-request.ts';
import type { ChangeOptions } from './policy-set.ts';
import { formatTable } from './table.ts';

export function policyHistoryCommand(): Command {
  return edgePolicyCommand('history')
    .description('the versions that are kept, the one in force first')
    .action(history);
}

export function policyRollbackCommand(): Command {
  return edgePolicyCommand('rollback')
    .description('put an earlier version into force again, as the next one')
    .argument('<version>', 'its number in the history', numberFrom(1, 2 ** 31))
    .option('--force', 'even if it cuts the connection that you work by')
    .action(rollback);
}

async function history(options: PolicyOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { policyHistorySchema } = await import('../control/policy-api.ts');
  const path = await policyPath(options, '/history');
  const { versions } = await openEdge(options).get(path, policyHistorySchema);
  print(options, versions, () => formatHistory(versions));
}

async function rollback(version: number, options: ChangeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { policyViewSchema } = await import('../control/policy-api.ts');
  const body = { version, force: options.force, connections: sshConnections() };
  const path = await policyPath(options, '/rollback');
  const policy = await openEdge(options).call('POST', path, policyViewSchema, body);
  print(options, policy, () => describeVersion(policy));
}

export function formatHistory(versions: readonly PolicySummary[]): string {
  if (versions.length === 0) return 'There never was a policy: everything is allowed.\n';
  const rows = versions.map((one) => [
    String(one.version),
    (one.created ?? '').slice(0, 19),
    one.author,
    String(one.rules),
    one.default,
    one.comment,
  ]);
  return formatTable(['VERSION', 'SET AT (UTC)', 'BY', 'RULES', 'DEFAULT', 'COMMENT'], rows);
}
