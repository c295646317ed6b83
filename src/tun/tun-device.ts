/**
 * A TUN device in vectors: super-packets in, cut into messages; opened packets out, gathered into
 * super-packets (virtio 1.2 § 5.1.6, `Documentation/networking/tuntap.rst` of the kernel).
 */
import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { CausewayError } from '../errors.ts';
import type { Addon, OpenedTun } from '../native/addon.ts';
import { bindInbound, bindOutbound } from '../native/bindings.ts';
import type { InboundVector, OutboundVector, PacketGroups } from '../vector.ts';
import { tunRefusal } from './tun-access.ts';

const { EAGAIN, EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ENOTTY, EPERM, EACCES, ENXIO } =
  constants.errno;

/** struct virtio_net_hdr in front of each packet; all 0 = nothing is left to be done to it. */
export const VNET_HEADER_SIZE = 10;

export class TunDevice {
  readonly name: string;
  readonly fd: number;
  readonly offloads: readonly string[];
  /** Packets dropped by the last `read` or `gather`, by reason. */
  malformed = 0;
  options = 0;
  unknownOffload = 0;
  /** Path frames among the packets of the last `gather`: in none of its groups. */
  pathFrames = 0;

  readonly #addon: Addon;
  readonly #tcp: boolean;
  readonly #udp: boolean;
  readonly #results: Int32Array;

  /** Takes over an open descriptor, also in another thread than the one that opened it. */
  constructor(addon: Addon, opened: OpenedTun) {
    this.#addon = addon;
    this.#results = addon.results;
    this.name = opened.name;
    this.fd = opened.fd;
    this.#tcp = opened.tcpOffload;
    this.#udp = opened.udpOffload;
    const offloads: string[] = [];
    if (opened.tcpOffload) offloads.push('tso');
    if (opened.udpOffload) offloads.push('uso');
    this.offloads = offloads;
  }

  /**
   * Appends what waits on the device to the vector, as runs ready to be sealed.
   *
   * @param maxBytes stop after so many bytes of messages
   * @returns 0 if more may wait, EAGAIN if drained, else the errno of a device that is gone
   */
  read(vector: OutboundVector, mtu: number, maxBytes: number): number {
    const results = this.#results;
    const handle = bindOutbound(this.#addon, vector);
    this.#addon.tunRead(this.fd, handle, vector.length, vector.used, mtu, maxBytes);
    vector.length = results[1]!;
    vector.used = results[2]!;
    this.malformed = results[3]!;
    this.options = results[4]!;
    this.unknownOffload = results[5]!;
    return results[0]!;
  }

  /** Gathers the vector's opened packets into groups. They are valid until the next `gather`. */
  gather(vector: InboundVector): PacketGroups {
    const results = this.#results;
    const { groups } = vector;
    const handle = bindInbound(this.#addon, vector);
    this.#addon.coalesce(handle, vector.length, this.#tcp, this.#udp);
    groups.length = results[0]!;
    this.malformed = results[1]!;
    this.options = results[2]!;
    this.pathFrames = results[3]!;
    return groups;
  }

  /** Writes the gathered groups that still hold packets. Returns packets that were refused. */
  write(vector: InboundVector): number {
    return this.#addon.tunWrite(this.fd, bindInbound(this.#addon, vector), vector.groups.length);
  }

  /** Writes one IP packet of `length` bytes behind VNET_HEADER_SIZE bytes of 0; whether it was taken. */
  writePacket(bytes: Uint8Array, length: number): boolean {
    try {
      writeSync(this.fd, bytes, 0, VNET_HEADER_SIZE + length);
      return true;
    } catch {
      // Down, or out of memory.
      return false;
    }
  }

  close(): void {
    this.#addon.close(this.fd);
  }
}

/**
 * Creates the device, one queue, with every offload that the kernel has.
 *
 * @throws CausewayError INTERFACE_EXISTS, INTERFACE_NAME, PERMISSION, TUN_MISSING or START_FAILED
 */
export function openTun(addon: Addon, name: string, mtu: number): OpenedTun {
  const opened = addon.openTun(name, true, false, true, mtu);
  if (opened.fd >= 0) return opened;
  switch (opened.error) {
    case EBUSY:
    case EEXIST:
      throw new CausewayError(
        'INTERFACE_EXISTS',
        `The interface ${name} exists already. If \`connector tunnel status\` shows it, it is in use: \`connector tunnel down ${name}\` ends a tunnel, \`connector down --interface ${name}\` a gateway. Otherwise choose another name, or remove it with \`ip link delete ${name}\`.`,
      );
    case EINVAL:
      throw new CausewayError(
        'INTERFACE_NAME',
        `The kernel refuses the interface name ${JSON.stringify(name)}: choose another one, at most 15 characters.`,
      );
    case EPERM:
    case EACCES:
      throw new CausewayError(
        'PERMISSION',
        tunRefusal() ??
          `No permission to create the interface ${name}: run as root, or with CAP_NET_ADMIN.`,
      );
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ENOTTY:
      throw new CausewayError(
        'TUN_MISSING',
        'There is no /dev/net/tun: load the module with `modprobe tun`, or hand the device to the container (--device /dev/net/tun).',
      );
    default:
      throw new CausewayError(
        'START_FAILED',
        `The interface ${name} could not be created: errno ${opened.error}.`,
      );
  }
}

export { EAGAIN as DRAINED };
