/** `connector tokens create | ls | rm`: tokens with which operators and programs use the API. */
import { Command, Option } from 'commander';
import type { TokenView } from '../control/operator-api.ts';
import { numberFrom } from './number-argument.ts';
import { print } from './output.ts';
import { formatTable } from './table.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface CreateOptions extends EdgeOptions {
  readonly role: string;
  readonly days?: number;
}

export function tokensCommand(): Command {
  return new Command('tokens')
    .description('tokens for the API of the edge, for CAUSEWAY_TOKEN')
    .addCommand(
      edgeCommand('create')
        .description('make a token and print it, once')
        .argument('<name>', 'a DNS label that says who has it')
        .addOption(
          new Option('--role <role>', 'what it may do')
            .choices(['admin', 'read-only'])
            .default('read-only'),
        )
        .option(
          '--days <number>',
          'expires after so many days (default: never)',
          numberFrom(1, 3_650),
        )
        .action(create),
    )
    .addCommand(edgeCommand('ls').description('list them').action(ls))
    .addCommand(
      edgeCommand('rm')
        .description('revoke one at once')
        .argument('<token>', 'name or id')
        .action(rm),
    );
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { tokenCreatedSchema } = await import('../control/operator-api.ts');
  const body = { name, role: options.role, days: options.days };
  const answer = await openEdge(options).call('POST', '/v1/tokens', tokenCreatedSchema, body);
  print(options, answer, () => `${answer.secret}\n`);
}

async function ls(options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { tokenListSchema } = await import('../control/operator-api.ts');
  const { tokens } = await openEdge(options).get('/v1/tokens', tokenListSchema);
  print(options, tokens, () => formatTokens(tokens));
}

async function rm(reference: string, options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  await openEdge(options).send('DELETE', `/v1/tokens/${encodeURIComponent(reference)}`);
  print(options, { deleted: reference }, () => `Token ${reference} is revoked.\n`);
}

export function formatTokens(tokens: readonly TokenView[]): string {
  if (tokens.length === 0) return 'There are no tokens.\n';
  const rows = tokens.map(({ name, role, created, expires }) => [
    name,
    role,
    created,
    expires ?? 'never',
  ]);
  return formatTable(['NAME', 'ROLE', 'CREATED', 'EXPIRES'], rows);
}
