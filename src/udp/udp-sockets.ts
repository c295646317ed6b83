/**
 * The pair of UDP sockets of a device, IPv4 and IPv6 on one port: received and sent in vectors.
 *
 * IPv6 may be missing on a machine; IPv4 may too. One of them must be there.
 */
import { constants } from 'node:os';
import type { Addon, OpenedUdp } from '../native/addon.ts';
import { bindEndpoints, bindInbound, bindOutbound } from '../native/bindings.ts';
import type { EndpointTable, InboundVector, OutboundVector } from '../vector.ts';

const { EADDRINUSE, EAFNOSUPPORT, EADDRNOTAVAIL, EAGAIN } = constants.errno;

/** Socket buffers in bytes: half a second of a gigabit. */
export const SOCKET_BUFFER = 8 << 20;
/** How often a free port is looked for that both families have. */
const PORT_TRIES = 16;

export class SocketError extends Error {
  /** Positive errno. */
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

const CLOSED: OpenedUdp = { fd: -1, error: 0, port: 0, gso: false, gro: false, receiveBuffer: 0 };

export class UdpSockets {
  readonly port: number;
  readonly fd4: number;
  readonly fd6: number;
  readonly offloads: readonly string[];
  /** Bytes; below SOCKET_BUFFER where the system permits no more. */
  readonly receiveBuffer: number;
  /** Datagrams of the last `receive` for which the vector had no room. */
  uncut = 0;
  /** Counts of the last `send`. */
  refused = 0;
  tooLong = 0;
  unreachable = 0;

  readonly #addon: Addon;
  readonly #gso4: boolean;
  readonly #gso6: boolean;
  readonly #endpoints: EndpointTable;
  readonly #results: Int32Array;

  private constructor(addon: Addon, v4: OpenedUdp, v6: OpenedUdp, endpoints: EndpointTable) {
    this.#addon = addon;
    this.#results = addon.results;
    this.fd4 = v4.fd;
    this.fd6 = v6.fd;
    this.port = v4.fd >= 0 ? v4.port : v6.port;
    this.#gso4 = v4.gso;
    this.#gso6 = v6.gso;
    this.#endpoints = endpoints;
    const offloads: string[] = [];
    if (v4.gso || v6.gso) offloads.push('udp-gso');
    if (v4.gro || v6.gro) offloads.push('udp-gro');
    this.offloads = offloads;
    const opened = [v4, v6].filter(({ fd }) => fd >= 0);
    this.receiveBuffer = Math.min(...opened.map(({ receiveBuffer }) => receiveBuffer));
  }

  /**
   * Binds both families to one port.
   *
   * @param port 0 = any port that both families have free
   * @param mark SO_MARK, 0 = none
   * @throws SocketError
   */
  static open(addon: Addon, port: number, mark: number, endpoints: EndpointTable): UdpSockets {
    for (let tries = 1; ; tries++) {
      const v4 = openFamily(addon, 4, port, mark);
      let v6 = CLOSED;
      try {
        v6 = openFamily(addon, 6, v4.fd >= 0 ? v4.port : port, mark);
      } catch (error) {
        addon.close(v4.fd);
        const taken = error instanceof SocketError && error.errno === EADDRINUSE;
        if (port === 0 && taken && tries < PORT_TRIES) continue;
        throw error;
      }
      if (v4.fd < 0 && v6.fd < 0) throw new SocketError(EAFNOSUPPORT);
      return new UdpSockets(addon, v4, v6, endpoints);
    }
  }

  /** Fills the vector from one socket; true if more may wait. */
  receive(fd: number, vector: InboundVector, maxBuffers: number): boolean {
    const results = this.#results;
    vector.clear();
    this.uncut = 0;
    this.#addon.udpReceive(fd, bindInbound(this.#addon, vector), maxBuffers);
    if (results[0] !== 0 && results[0] !== EAGAIN) return false;
    vector.length = results[1]!;
    vector.messages = results[2]!;
    this.uncut = results[3]!;
    return results[0] === 0;
  }

  /**
   * Sends the vector's entries in order. Returns 0 when done, or the family of the socket that
   * takes no more now: call again with `resume` when it is writable.
   *
   * @param endpoints what the vector's endpoints are indexes of, if not the table given to `open`
   */
  send(vector: OutboundVector, resume: boolean, endpoints = this.#endpoints): 0 | 4 | 6 {
    const results = this.#results;
    this.#addon.udpSend(
      this.fd4,
      this.fd6,
      this.#gso4,
      this.#gso6,
      bindOutbound(this.#addon, vector),
      vector.length,
      bindEndpoints(this.#addon, endpoints),
      resume,
    );
    this.refused = results[1]!;
    this.tooLong = results[2]!;
    this.unreachable = results[3]!;
    return results[0] as 0 | 4 | 6;
  }

  /** Ends what `send` has left of the vector, unsent; how many datagrams that were. */
  giveUp(vector: OutboundVector, endpoints = this.#endpoints): number {
    const outbound = bindOutbound(this.#addon, vector);
    const table = bindEndpoints(this.#addon, endpoints);
    this.#addon.udpSend(-1, -1, false, false, outbound, vector.length, table, true);
    return this.#results[3]!;
  }

  /** Routes changed: endpoints whose path refused segmentation may try again. */
  forgetPaths(endpoints = this.#endpoints): void {
    this.#addon.forgetPaths(bindEndpoints(this.#addon, endpoints));
  }

  /** @throws SocketError */
  setMark(mark: number): void {
    for (const fd of [this.fd4, this.fd6]) {
      const error = fd >= 0 ? this.#addon.setMark(fd, mark) : 0;
      if (error !== 0) throw new SocketError(error);
    }
  }

  /**
   * Whether a datagram that is too long for its way is refused or lost, and never fragmented. A search
   * for the path's MTU needs that; a tunnel without one had better not.
   *
   * @throws SocketError
   */
  setDontFragment(on: boolean): void {
    for (const fd of [this.fd4, this.fd6]) {
      const error = fd >= 0 ? this.#addon.setDontFragment(fd, on) : 0;
      if (error !== 0) throw new SocketError(error);
    }
  }

  /** Datagrams that the kernel dropped since opening because a receive buffer was full. */
  kernelDrops(): number {
    let drops = 0;
    for (const fd of [this.fd4, this.fd6]) if (fd >= 0) drops += this.#addon.socketDrops(fd);
    return drops;
  }

  close(): void {
    for (const fd of [this.fd4, this.fd6]) this.#addon.close(fd);
  }
}

/** A family that the machine does not have is no error: its descriptor is -1. */
function openFamily(addon: Addon, family: 4 | 6, port: number, mark: number): OpenedUdp {
  const opened = addon.openUdp(family, port, mark, SOCKET_BUFFER, true);
  if (opened.fd >= 0) return opened;
  if (opened.error === EAFNOSUPPORT || opened.error === EADDRNOTAVAIL) return CLOSED;
  throw new SocketError(opened.error);
}
