/** The links beneath a mesh (mesh-lab.ts) with other MTUs, and routers and hosts that keep quiet about it. */
import type { MeshLab, Site } from './mesh-lab.ts';
import type { Namespace } from './namespace.ts';

/** Neighbours and routers are found as ever, echo is answered; ICMP's errors are gone. */
const SILENT = ['input', 'output', 'forward'].map(
  (hook) => `chain ${hook} {
    type filter hook ${hook} priority -300;
    icmp type { destination-unreachable, time-exceeded, parameter-problem } drop
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } drop
  }`,
);

/** As routers before narrow links do: the TCP of the control plane has no other help. */
const CLAMP = `table inet clamp {
  chain forward {
    type filter hook forward priority mangle
    tcp flags syn tcp option maxseg size set rt mtu
  }
}`;

/** No ICMP error leaves, passes or reaches any of these. */
export async function silence(...namespaces: Namespace[]): Promise<void> {
  for (const one of namespaces) await one.nft(`table inet silent {\n${SILENT.join('\n')}\n}`);
}

export async function endSilence(...namespaces: Namespace[]): Promise<void> {
  for (const one of namespaces) await one.nft('delete table inet silent');
}

/** All of a mesh but the edge, which answers with what it is sent. */
export function underlayOf(mesh: MeshLab): Namespace[] {
  return [mesh.internet, ...mesh.sites.map(({ nat }) => nat)];
}

export function lansOf(mesh: MeshLab): Namespace[] {
  return mesh.sites.flatMap(({ gateway, host }) => [gateway, host]);
}

export async function clampControlPlane(mesh: MeshLab): Promise<void> {
  await Promise.all(mesh.sites.map(({ nat }) => nat.nft(CLAMP)));
}

/** The link between a site and the internet. */
export async function narrow(mesh: MeshLab, site: Site, mtu: number): Promise<void> {
  await mesh.internet.ip(`link set dev site-${site.name} mtu ${mtu}`);
  await site.nat.ip(`link set dev wan0 mtu ${mtu}`);
}

/** Every link, those of the LANs too. */
export async function widen(mesh: MeshLab, mtu: number): Promise<void> {
  await mesh.edge.ip(`link set dev eth0 mtu ${mtu}`);
  await mesh.internet.ip(`link set dev edge mtu ${mtu}`);
  for (const site of mesh.sites) {
    await narrow(mesh, site, mtu);
    await site.nat.ip(`link set dev lan0 mtu ${mtu}`);
    await site.gateway.ip(`link set dev wan0 mtu ${mtu}`, `link set dev lan0 mtu ${mtu}`);
    await site.host.ip(`link set dev eth0 mtu ${mtu}`);
  }
}
