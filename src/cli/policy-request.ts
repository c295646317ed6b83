/** What the commands about policies have in common: which network, and how the operator is connected. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { PolicySet, PolicyView } from '../control/policy-api.ts';
import { count } from './output.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

export interface PolicyOptions extends EdgeOptions {
  readonly vnet?: string;
}

export function edgePolicyCommand(name: string): Command {
  return edgeCommand(name).option('--vnet <vnet>', 'which one (default: the default one)');
}

/** Path of a virtual network's policy in the API. */
export async function policyPath(options: PolicyOptions, rest = ''): Promise<string> {
  const vnet = options.vnet ?? (await defaultVnet(options));
  return `/v1/vnets/${encodeURIComponent(vnet)}/policy${rest}`;
}

async function defaultVnet(options: EdgeOptions): Promise<string> {
  const { openEdge } = await import('./edge-request.ts');
  const { vnetListSchema } = await import('../control/operator-api.ts');
  const { vnets } = await openEdge(options).get('/v1/vnets', vnetListSchema);
  return vnets.find((vnet) => vnet.default)!.id;
}

/** `Version 3 is in force in default: 12 rules, default deny.` */
export function describeVersion({ vnet, version, rules, default: verdict }: PolicyView): string {
  return `Version ${version} is in force in ${vnet.name}: ${count(rules, 'rule')}, default ${verdict}.\n`;
}

/** More processes are no way from a shell to its session. */
const MAX_ANCESTORS = 16;

/**
 * The SSH connection that this command is typed over, if any. `sudo` takes the variable away: then it
 * is that of the process that started sudo.
 */
export function sshConnections(
  environment: NodeJS.ProcessEnv = process.env,
): NonNullable<PolicySet['connections']> {
  const text = environment.SSH_CONNECTION ?? ancestorsConnection();
  const [source, , destination, port] = text?.split(' ') ?? [];
  if (source === undefined || destination === undefined || !/^[0-9]{1,5}$/.test(port ?? '')) {
    return [];
  }
  return [{ source, destination, port: Number(port) }];
}

function ancestorsConnection(): string | undefined {
  let pid = process.ppid;
  for (let i = 0; i < MAX_ANCESTORS && pid > 1; i++) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      const found = /(?:^|\0)SSH_CONNECTION=([^\0]*)/.exec(environment)?.[1];
      if (found !== undefined) return found;
      pid = Number(/^PPid:\s*([0-9]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    } catch {
      return undefined;
    }
  }
  return undefined;
}
