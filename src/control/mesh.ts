/**
 * Mesh IPs: a connector's place in the mesh ranges, the same number in both families. 100.96.0.0/12
 * is what people know from Cloudflare's mesh; the IPv6 range is a unique local /48 (RFC 4193) with
 * random bits of its own for each mesh.
 */
import {
  containsAddress,
  formatPrefix,
  maxPrefixLength,
  type Prefix,
  parsePrefix,
} from '../routing/prefix.ts';
import type { Head } from './model.ts';
import type { MeshAddresses } from './netmap.ts';

export const DEFAULT_MESH_IPV4 = '100.96.0.0/12';
/** Bits of the IPv4 range at least and at most; IPv6 is always a /48. */
export const MESH_IPV4_LENGTHS = [8, 24] as const;
export const MESH_IPV6_LENGTH = 48;
export const GLOBAL_ID_SIZE = 5;

/** `fd` and 40 random bits, a /48 (RFC 4193 § 3.2.2). */
export function uniqueLocalRange(globalId: Uint8Array): string {
  if (globalId.length !== GLOBAL_ID_SIZE) throw new RangeError('a global id is 5 bytes long');
  const address = new Uint8Array(16);
  address[0] = 0xfd;
  address.set(globalId, 1);
  return formatPrefix({ family: 6, address, length: MESH_IPV6_LENGTH });
}

/** Largest mesh index that the ranges have room for: the last IPv4 address is left out. */
export function maxMeshIndex(head: Pick<Head, 'meshIpv4'>): number {
  return 2 ** (32 - parsePrefix(head.meshIpv4)!.length) - 2;
}

/** The mesh IPs with an index, as host prefixes. */
export function meshAddresses(
  head: Pick<Head, 'meshIpv4' | 'meshIpv6'>,
  index: number,
): MeshAddresses {
  return {
    ipv4: hostOf(parsePrefix(head.meshIpv4)!, index),
    ipv6: hostOf(parsePrefix(head.meshIpv6)!, index),
  };
}

/** The inverse: the index that an address of either range has; undefined if it is in neither. */
export function meshIndexOf(
  head: Pick<Head, 'meshIpv4' | 'meshIpv6'>,
  address: Uint8Array,
): number | undefined {
  const range = parsePrefix(address.length === 4 ? head.meshIpv4 : head.meshIpv6)!;
  if (!containsAddress(range, address)) return undefined;
  const low = (bytes: Uint8Array): number =>
    new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4);
  return low(address) - low(range.address);
}

function hostOf(range: Prefix, index: number): string {
  const address = range.address.slice();
  const view = new DataView(address.buffer);
  const at = address.length - 4;
  view.setUint32(at, (view.getUint32(at) | index) >>> 0);
  return formatPrefix({ ...range, address, length: maxPrefixLength(range.family) });
}
