/** Where gateways reach the edge: what the operator said, or this machine's own addresses. */
import { networkInterfaces } from 'node:os';
import { MAX_ENDPOINTS, MAX_URLS } from '../control/model.ts';
import { parseAddress } from '../routing/address.ts';
import { containsAddress, parsePrefix } from '../routing/prefix.ts';
import type { Settings } from './settings.ts';

export interface PublicAddresses {
  readonly endpoints: string[];
  readonly urls: string[];
  readonly hosts: string[];
  /** What the operator should know of them. */
  readonly warning: string | undefined;
}

/** @param machine addresses of this machine, in order of preference */
export function publicAddresses(
  settings: Settings,
  ports: { readonly api: number; readonly relay: number },
  machine: readonly string[] = machineAddresses(),
): PublicAddresses {
  const hosts = settings.public.length > 0 ? settings.public : machine;
  const bracketed = hosts.map((host) => (host.includes(':') ? `[${host}]` : host));
  const { endpoints, urls } = settings;
  const isGiven = settings.public.length > 0 || (endpoints.length > 0 && urls.length > 0);
  return {
    hosts: [...hosts],
    endpoints:
      endpoints.length > 0
        ? endpoints
        : bracketed.slice(0, MAX_ENDPOINTS).map((host) => `${host}:${ports.relay}`),
    urls:
      urls.length > 0
        ? urls
        : bracketed.slice(0, MAX_URLS).map((host) => `https://${host}:${ports.api}`),
    warning: isGiven || !machine.every(isPrivate) ? undefined : warningOf(machine),
  };
}

function warningOf(machine: readonly string[]): string {
  return `Gateways are told to reach this edge at ${machine.join(', ')}, which only this host's own networks reach: give --public the name or address by which they reach it from elsewhere.`;
}

/** Interfaces of tunnels, of containers and of virtual machines: nobody else reaches these addresses. */
const INNER_INTERFACE =
  /^(causeway|wg|tun|tap|tailscale|zt|docker|br-|veth|virbr|lxc|lxd|incus|podman|cni|flannel|cali|cilium|kube|nerdctl)/;

/** Addresses that others can reach it by, IPv4 first; loopback when there is nothing else. */
export function machineAddresses(
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): string[] {
  const usable = Object.entries(interfaces)
    .filter(([name]) => !INNER_INTERFACE.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^fe80:/i.test(address));
  const sorted = usable.toSorted((a, b) => a.family.localeCompare(b.family));
  return sorted.length > 0 ? sorted.map(({ address }) => address) : ['127.0.0.1'];
}

/** Not routed on the internet: RFC 1918, 6598, 3927, 4193, 4291 § 2.5.6, and loopback. */
const PRIVATE = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '127.0.0.0/8',
  'fc00::/7',
  'fe80::/10',
  '::1/128',
].map((text) => parsePrefix(text)!);

function isPrivate(text: string): boolean {
  const parsed = parseAddress(text);
  return parsed !== undefined && PRIVATE.some((range) => containsAddress(range, parsed.address));
}
