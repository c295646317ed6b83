/** `connector rotate-token CONNECTOR`: a new join token; the old one is void, who has joined stays. */
import type { Command } from 'commander';
import { print } from './output.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

export function rotateTokenCommand(): Command {
  return edgeCommand('rotate-token')
    .description('print a new join token; the old one is void, hosts that have joined stay')
    .argument('<connector>', 'name or id')
    .action(run);
}

async function run(reference: string, options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { joinTokenResponseSchema } = await import('../control/operator-api.ts');
  const path = `/v1/connectors/${encodeURIComponent(reference)}/rotate-token`;
  const answer = await openEdge(options).call('POST', path, joinTokenResponseSchema);
  print(options, answer, () => `${answer.joinToken}\n`);
}
