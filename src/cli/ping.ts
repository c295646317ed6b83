/** `connector ping MESH-IP|NAME`: through the mesh by the system's ping, after saying by which path. */
import { spawn } from 'node:child_process';
import { Command } from 'commander';
import { CausewayError } from '../errors.ts';
import type { MeshPeer, MeshStatus } from '../gateway/mesh/mesh-status.ts';
import { describePath } from '../gateway/mesh/path-text.ts';
import { formatAddress, parseAddress } from '../routing/address.ts';
import { numberFrom } from './number-argument.ts';
import { runningGateways } from './this-gateway.ts';

interface Options {
  readonly count: number;
  readonly interface?: string;
  readonly '6'?: true;
}

export function pingCommand(): Command {
  return new Command('ping')
    .description('ping a connector through the mesh, and say by which path')
    .argument('<connector>', 'its name or mesh IP')
    .option('-c, --count <n>', 'how often', numberFrom(1, 99_999), 4)
    .option('-6', 'its IPv6 mesh IP')
    .option('--interface <name>', 'the gateway on this interface')
    .action(run);
}

async function run(target: string, options: Options): Promise<void> {
  const gateways = await runningGateways(options.interface);
  const { peer, gateway, address } = find(gateways, target, options[6] === true);
  const rtt = peer.rtt === null ? '' : `, ${peer.rtt.toFixed(1)} ms by its own measure`;
  const mtu = peer.mtu === null ? '' : `, MTU ${peer.mtu}`;
  process.stdout.write(`${peer.connector} ${address}: ${describePath(peer.path)}${rtt}${mtu}\n`);
  const code = await ping(address, gateway.interface, options.count);
  process.exitCode = code;
  const own = address.includes(':') ? gateway.mesh?.ipv6 : gateway.mesh?.ipv4;
  // Of ping(8): 1 = nothing came back.
  if (code !== 1 || own === undefined) return;
  process.stdout.write(`\`connector routes explain ${own} ${address}\` says where it ends.\n`);
}

/** @throws CausewayError NOT_FOUND */
export function find(
  gateways: readonly MeshStatus[],
  target: string,
  ipv6: boolean,
): { readonly gateway: MeshStatus; readonly peer: MeshPeer; readonly address: string } {
  const parsed = parseAddress(target);
  const address = parsed && formatAddress(parsed.address);
  for (const gateway of gateways) {
    const matches = gateway.peers.filter(({ mesh, connector }) =>
      address === undefined ? connector === target : [mesh.ipv4, mesh.ipv6].includes(address),
    );
    const peer = matches.find(({ serving }) => serving) ?? matches[0];
    if (peer === undefined) continue;
    return { gateway, peer, address: address ?? (ipv6 ? peer.mesh.ipv6 : peer.mesh.ipv4) };
  }
  const own = gateways.find(({ connector, mesh }) =>
    address === undefined ? connector.name === target : [mesh?.ipv4, mesh?.ipv6].includes(address),
  );
  if (own !== undefined) {
    const message = `${target} is this gateway itself, ${own.connector.name} on ${own.interface}.`;
    throw new CausewayError('NOT_FOUND', message);
  }
  if (address !== undefined) {
    const message = `${target} is no connector's mesh IP: for a host behind one use ping, and \`connector routes explain SRC ${target}\` for its way.`;
    throw new CausewayError('NOT_FOUND', message);
  }
  const names = gateways.flatMap(({ peers }) => peers.map(({ connector }) => connector));
  const known = [...new Set(names)].slice(0, 10).join(', ') || 'none';
  throw new CausewayError(
    'NOT_FOUND',
    `No connector ${target} is in this mesh: known from here are ${known}.`,
  );
}

function ping(address: string, interfaceName: string, count: number): Promise<number> {
  const args = ['-n', '-c', String(count), '-I', interfaceName, address];
  return new Promise((resolve, reject) => {
    // Some errors are thrown, others come as an event.
    const child = spawn('ping', args, { stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  }).catch((error: NodeJS.ErrnoException) => {
    throw refused(error);
  }) as Promise<number>;
}

/** Why ping could not be started. */
export function refused(error: NodeJS.ErrnoException): CausewayError {
  // What execve(2) says of a file with a capability that this process may not have.
  const message =
    error.code === 'EPERM'
      ? 'The command ping may not run here: it asks for the capability NET_RAW, which a container may lack. Start that with --cap-add NET_RAW.'
      : 'The command ping is not here: install it, on Debian `apt install iputils-ping`.';
  const code = error.code === 'EPERM' ? 'PERMISSION' : 'COMMAND_MISSING';
  return new CausewayError(code, message, { cause: error });
}
