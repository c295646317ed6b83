/** Packets of a link as tcpdump writes them, down to the UDP datagrams. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatAddress } from '../src/routing/address.ts';
import type { Namespace } from './namespace.ts';
import type { Process } from './process.ts';

export interface CapturedDatagram {
  /** `ADDRESS PORT` */
  readonly from: string;
  readonly to: string;
  readonly payload: Uint8Array;
}

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const ETHERNET_HEADER = 14;
const UDP_HEADER = 8;

/** Everything that passes a link, from the time that `open` resolves. */
export class Capture {
  readonly #path: string;
  readonly #process: Process;

  private constructor(path: string, process: Process) {
    this.#path = path;
    this.#process = process;
  }

  static async open(namespace: Namespace, link: string): Promise<Capture> {
    const path = join(namespace.folder, `${link}.pcap`);
    const command = ['tcpdump', '-i', link, '-U', '-s', '0', '-w', path, '--immediate-mode'];
    const started = namespace.start([...command, '-Z', 'root']);
    await started.line(/listening on/);
    return new Capture(path, started);
  }

  /** Ends it; whole frames, in order. */
  async frames(): Promise<Buffer[]> {
    await this.#process.stop('SIGINT');
    const bytes = readFileSync(this.#path);
    const frames: Buffer[] = [];
    for (let at = FILE_HEADER; at + RECORD_HEADER <= bytes.length; ) {
      const size = bytes.readUInt32LE(at + 8);
      at += RECORD_HEADER;
      frames.push(bytes.subarray(at, at + size));
      at += size;
    }
    return frames;
  }
}

/** The UDP datagram in an Ethernet frame that is no fragment; undefined if there is none. */
export function datagramOf(frame: Buffer): CapturedDatagram | undefined {
  const type = frame.readUInt16BE(12);
  const ip = frame.subarray(ETHERNET_HEADER);
  let header: number;
  let addresses: readonly [Buffer, Buffer];
  if (type === 0x0800) {
    if (ip[9] !== 17) return undefined;
    header = (ip[0]! & 15) * 4;
    addresses = [ip.subarray(12, 16), ip.subarray(16, 20)];
  } else if (type === 0x86dd) {
    if (ip[6] !== 17) return undefined;
    header = 40;
    addresses = [ip.subarray(8, 24), ip.subarray(24, 40)];
  } else {
    return undefined;
  }
  const udp = ip.subarray(header);
  const [from, to] = addresses.map((address, i) => {
    return `${formatAddress(address)} ${udp.readUInt16BE(i * 2)}`;
  }) as [string, string];
  return { from, to, payload: udp.subarray(UDP_HEADER, udp.readUInt16BE(4)) };
}
