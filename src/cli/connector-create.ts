/** `connector create NAME`: registers a connector at the edge and prints its join token. */
import type { Command } from 'commander';
import { numberFrom } from './number-argument.ts';
import { collect, print } from './output.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface Options extends EdgeOptions {
  readonly vnet?: string;
  readonly route?: readonly string[];
  readonly autoApprove?: readonly string[];
  readonly maxReplicas?: number;
  readonly comment?: string;
  readonly allowDefault?: true;
}

export function createCommand(): Command {
  return edgeCommand('create')
    .description('register a connector and print its join token, once')
    .argument('<name>', 'a DNS label, as "berlin"')
    .option(
      '--vnet <vnet>',
      'virtual network that it belongs to for good (default: the default one)',
    )
    .option('--route <cidr>', 'prefix that is reached through it; may be repeated', collect)
    .option('--auto-approve <cidr>', 'prefixes in it that it advertises need no approval', collect)
    .option(
      '--max-replicas <number>',
      'how many hosts may join with its token (default: 8)',
      numberFrom(1, 25),
    )
    .option('--comment <text>', 'a line for people')
    .option('--allow-default', 'a route may be 0.0.0.0/0 or ::/0')
    .action(run);
}

async function run(name: string, options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { connectorCreatedSchema } = await import('../control/operator-api.ts');
  const answer = await openEdge(options).call('POST', '/v1/connectors', connectorCreatedSchema, {
    name,
    vnet: options.vnet,
    routes: options.route,
    autoApprove: options.autoApprove,
    maxReplicas: options.maxReplicas,
    comment: options.comment,
    allowDefault: options.allowDefault,
  });
  // The token alone on stdout, so that it can be captured; the rest is for whoever watches.
  print(options, answer, () => `${answer.joinToken}\n`);
  if (options.json || !process.stderr.isTTY) return;
  const { mesh, vnet } = answer.connector;
  process.stderr.write(
    `\nConnector ${name} in ${vnet.name}, mesh IP ${mesh.ipv4}. On its gateway, as root:\n  connector up --token TOKEN\n`,
  );
}
