/** `connector vnets add | ls | rm | default`: virtual networks, isolated from each other. */
import { Command } from 'commander';
import type { VnetView } from '../control/operator-api.ts';
import { print } from './output.ts';
import { formatTable } from './table.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface AddOptions extends EdgeOptions {
  readonly comment?: string;
  readonly default?: true;
}

export function vnetsCommand(): Command {
  return new Command('vnets')
    .description('virtual networks: the same prefix may exist in each, and nothing crosses')
    .addCommand(
      edgeCommand('add')
        .description('make a virtual network')
        .argument('<name>', 'a DNS label')
        .option('--comment <text>', 'a line for people')
        .option('--default', 'new connectors are put into it')
        .action(add),
    )
    .addCommand(edgeCommand('ls').description('list them').action(ls))
    .addCommand(
      edgeCommand('rm')
        .description('remove one that no connector is in')
        .argument('<vnet>', 'name or id')
        .action(rm),
    )
    .addCommand(
      edgeCommand('default')
        .description('put new connectors into this one from now on')
        .argument('<vnet>', 'name or id')
        .action(makeDefault),
    );
}

async function add(name: string, options: AddOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { vnetViewSchema } = await import('../control/operator-api.ts');
  const body = { name, comment: options.comment, default: options.default };
  const vnet = await openEdge(options).call('POST', '/v1/vnets', vnetViewSchema, body);
  print(options, vnet, () => formatVnets([vnet]));
}

async function ls(options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { vnetListSchema } = await import('../control/operator-api.ts');
  const { vnets } = await openEdge(options).get('/v1/vnets', vnetListSchema);
  print(options, vnets, () => formatVnets(vnets));
}

async function rm(reference: string, options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  await openEdge(options).send('DELETE', `/v1/vnets/${encodeURIComponent(reference)}`);
  print(options, { deleted: reference }, () => `Virtual network ${reference} is removed.\n`);
}

async function makeDefault(reference: string, options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { vnetViewSchema } = await import('../control/operator-api.ts');
  const path = `/v1/vnets/${encodeURIComponent(reference)}/default`;
  const vnet = await openEdge(options).call('POST', path, vnetViewSchema);
  print(options, vnet, () => `${vnet.name} is the default virtual network now.\n`);
}

export function formatVnets(vnets: readonly VnetView[]): string {
  const heads = ['NAME', 'DEFAULT', 'CONNECTORS', 'ROUTES', 'COMMENT'];
  const rows = vnets.map((vnet) => [
    vnet.name,
    vnet.default ? 'yes' : '',
    String(vnet.connectors),
    String(vnet.routes),
    vnet.comment,
  ]);
  return formatTable(heads, rows);
}
