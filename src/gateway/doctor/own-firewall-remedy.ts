/** What to tell the product that a chain belongs to, so that it lets the gateway's own packets pass. Pure. */
import { formatAddress } from '../../routing/address.ts';
import type { FilterChain, ProbePacket } from './filter-model.ts';
import { iptablesProgram } from './firewall-remedy.ts';

const NAMES: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp' };

/**
 * @param chain a base chain that drops the packet
 * @param chains all of the host
 * @param packet of a flow that begins or ends here, by its state the first one or an answer
 * @returns commands for a root shell
 */
export function ownRemedy(
  chain: FilterChain,
  chains: readonly FilterChain[],
  packet: ProbePacket,
  interfaceName: string,
): string[] {
  const beside = chains.filter(
    ({ tool, family, table }) =>
      tool === chain.tool && family === chain.family && table === chain.table,
  );
  // Both let answers pass by themselves: where those are dropped, the rule that does it is no product's.
  if (packet.state === 'new') {
    const isFirewalld =
      chain.table === 'firewalld' || beside.some(({ name }) => name === 'INPUT_direct');
    if (isFirewalld && packet.in === interfaceName) return firewalld(interfaceName);
    if (beside.some(({ name }) => name.startsWith('ufw'))) return [ufw(packet, interfaceName)];
  }
  return [plain(chain, packet, interfaceName)];
}

/** The zone lets pass what comes by the mesh's interface. */
function firewalld(interfaceName: string): string[] {
  return [
    `firewall-cmd --permanent --zone=trusted --add-interface=${interfaceName}`,
    'firewall-cmd --reload',
  ];
}

function ufw(packet: ProbePacket, interfaceName: string): string {
  const { protocol, destination, destinationPort: port } = packet;
  const what = `port ${port} proto ${NAMES[protocol!]}`;
  if (packet.in === interfaceName) return `ufw allow in on ${interfaceName} to any ${what}`;
  const by = packet.out === interfaceName ? `on ${interfaceName} ` : '';
  const to = destination === undefined ? 'any' : formatAddress(destination);
  return `ufw allow out ${by}to ${to} ${what}`;
}

function plain(chain: FilterChain, packet: ProbePacket, interfaceName: string): string {
  const { family, protocol, destination, destinationPort: port, state } = packet;
  const name = NAMES[protocol!];
  const isMesh = packet.in === interfaceName || packet.out === interfaceName;
  if (chain.tool === 'nft') {
    const rule = `nft insert rule ${chain.family} ${chain.table} ${chain.name}`;
    if (state === 'established') return `${rule} ct state established,related accept`;
    const where = isMesh
      ? `${packet.in === undefined ? 'oifname' : 'iifname'} ${interfaceName}`
      : `${family === 4 ? 'ip' : 'ip6'} daddr ${formatAddress(destination!)}`;
    return `${rule} ${where} ${name} dport ${port} accept`;
  }
  const table = chain.table === 'filter' ? '' : ` -t ${chain.table}`;
  const rule = `${iptablesProgram(chain)}${table} -I ${chain.name}`;
  if (state === 'established') {
    return `${rule} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`;
  }
  const where = isMesh
    ? `${packet.in === undefined ? '-o' : '-i'} ${interfaceName} -p ${name}`
    : `-p ${name} -d ${formatAddress(destination!)}`;
  return `${rule} ${where} --dport ${port} -j ACCEPT`;
}
