/** `connector routes check CIDR`: how it would be reached, and what overlaps it. */
import type { Command } from 'commander';
import type { CheckAnswer } from '../control/operator-api.ts';
import { print } from './output.ts';
import { formatRoutes } from './routes-ls.ts';
import { WIDTH, wrap } from './table.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface Options extends EdgeOptions {
  readonly vnet?: string;
}

export function routesCheckCommand(): Command {
  return edgeCommand('check')
    .description('how a prefix would be reached, and which routes overlap it')
    .argument('<cidr>', 'as 10.1.0.0/16 or 2001:db8::/32')
    .option('--vnet <vnet>', 'only in this virtual network')
    .action(run);
}

async function run(prefix: string, options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { checkAnswerSchema } = await import('../control/operator-api.ts');
  const query = { prefix, vnet: options.vnet };
  const answer = await openEdge(options).get('/v1/route-questions/check', checkAnswerSchema, query);
  print(options, answer, () => formatCheckAnswer(answer));
}

export function formatCheckAnswer({ prefix, answers }: CheckAnswer): string {
  if (answers.length === 0) return `No route leads to ${prefix}, and none overlaps it.\n`;
  const parts = answers.map(({ vnet, reachedBy, overlapping }) => {
    const how =
      reachedBy === null
        ? `In ${vnet.name}, no route covers all of ${prefix}.`
        : `In ${vnet.name}, ${prefix} is reached through ${reachedBy.connector.name} by ${reachedBy.prefix} (${reachedBy.state}).`;
    const said = wrap(how, WIDTH).join('\n');
    if (overlapping.length === 0) return `${said}\nNothing overlaps it.\n`;
    return `${said}\nOverlapping:\n${formatRoutes(overlapping)}`;
  });
  return parts.join('\n');
}
