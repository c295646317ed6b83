/**
 * Cutting an IP packet into fragments of at most so many bytes: IPv4 without DF (RFC 791 § 3.2), and
 * IPv6 with a Fragment header (RFC 8200 § 4.5), which a router does not do to others' packets, but which
 * is all that is left where a link carries less than 1280 bytes and hosts need not heed (§ 5).
 *
 * The packet is one that `checkPacket` has accepted: an IPv4 header is 20 bytes.
 */
import { readU16, writeIpv4Checksum, writeU16 } from './checksum.ts';
import { IPV4_HEADER_SIZE, IPV6_HEADER_SIZE, packetVersion } from './packet.ts';

const FRAGMENT_HEADER_SIZE = 8;
const MORE_FRAGMENTS = 0x2000;
const DONT_FRAGMENT = 0x4000;
const IPV4_OFFSET = 0x1fff;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;

export class Fragmentation {
  /** Fragments of the packet; 0 = it must not be cut, or cannot. */
  count = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #offset = 0;
  #length = 0;
  /** Bytes in front of what is cut, and where they name what follows. */
  #unfragmentable = 0;
  #nextHeaderAt = 0;
  /** Bytes of payload of every fragment but the last: a multiple of 8. */
  #each = 0;
  /** Of a packet that is a fragment already: where its payload belongs, in bytes, and what follows it. */
  #base = 0;
  #more = false;
  #payloadAt = 0;
  #id = 0;
  #next = 0;

  /**
   * Looks at the packet at `offset`; the bytes are borrowed until the last `write`.
   *
   * @param id of the fragments of an IPv6 packet: 32 bits that no other packet of the pair has soon
   */
  begin(bytes: Uint8Array, offset: number, length: number, mtu: number, id: number): void {
    this.#bytes = bytes;
    this.#offset = offset;
    this.#length = length;
    this.#id = id;
    this.count = 0;
    const fits = packetVersion(bytes, offset) === 4 ? this.#begin4() : this.#begin6();
    if (!fits) return;
    const header = this.#headerSize();
    this.#each = Math.floor((mtu - header) / 8) * 8;
    const payload = length - this.#payloadAt;
    // A host that makes its headers as long as the path is wide would have many packets made of one. The
    // offset field holds no more than 16 bits of bytes.
    if (this.#each < Math.max(8, header) || this.#base + payload > 0xffff) return;
    this.count = Math.ceil(payload / this.#each);
  }

  #begin4(): boolean {
    const flags = readU16(this.#bytes, this.#offset + 6);
    this.#unfragmentable = IPV4_HEADER_SIZE;
    this.#payloadAt = IPV4_HEADER_SIZE;
    this.#base = (flags & IPV4_OFFSET) * 8;
    this.#more = (flags & MORE_FRAGMENTS) !== 0;
    return (flags & DONT_FRAGMENT) === 0;
  }

  #begin6(): boolean {
    const bytes = this.#bytes;
    let at = IPV6_HEADER_SIZE;
    let nextAt = 6;
    for (;;) {
      const next = bytes[this.#offset + nextAt]!;
      if (next !== HOP_BY_HOP && next !== ROUTING) break;
      if (at + 8 > this.#length) return false;
      nextAt = at;
      at += (bytes[this.#offset + at + 1]! + 1) * 8;
    }
    if (at > this.#length) return false;
    this.#unfragmentable = at;
    this.#nextHeaderAt = nextAt;
    this.#next = bytes[this.#offset + nextAt]!;
    this.#payloadAt = at;
    this.#base = 0;
    this.#more = false;
    if (this.#next !== FRAGMENT) return true;
    if (at + FRAGMENT_HEADER_SIZE > this.#length) return false;
    // A fragment of a host: cut further, under the identification that it has.
    const header = this.#offset + at;
    const flags = readU16(bytes, header + 2);
    this.#next = bytes[header]!;
    this.#base = flags & 0xfff8;
    this.#more = (flags & 1) !== 0;
    this.#id = readU16(bytes, header + 4) * 0x10000 + readU16(bytes, header + 6);
    this.#payloadAt = at + FRAGMENT_HEADER_SIZE;
    return true;
  }

  #headerSize(): number {
    return this.#isIpv6 ? this.#unfragmentable + FRAGMENT_HEADER_SIZE : IPV4_HEADER_SIZE;
  }

  get #isIpv6(): boolean {
    return packetVersion(this.#bytes, this.#offset) === 6;
  }

  /** Bytes of fragment `index`, header included. */
  sizeOf(index: number): number {
    const left = this.#length - this.#payloadAt - index * this.#each;
    return this.#headerSize() + Math.min(this.#each, left);
  }

  /** Writes fragment `index` to `out[at..]`. */
  write(index: number, out: Uint8Array, at: number): void {
    const bytes = this.#bytes;
    const header = this.#headerSize();
    const size = this.sizeOf(index);
    const from = this.#offset + this.#payloadAt + index * this.#each;
    const place = this.#base + index * this.#each;
    const more = this.#more || index < this.count - 1;
    out.set(bytes.subarray(this.#offset, this.#offset + this.#unfragmentable), at);
    out.set(bytes.subarray(from, from + size - header), at + header);
    if (this.#isIpv6) {
      writeU16(out, at + 4, size - IPV6_HEADER_SIZE);
      out[at + this.#nextHeaderAt] = FRAGMENT;
      const fragment = at + this.#unfragmentable;
      out[fragment] = this.#next;
      out[fragment + 1] = 0;
      writeU16(out, fragment + 2, place | (more ? 1 : 0));
      writeU16(out, fragment + 4, Math.floor(this.#id / 0x10000));
      writeU16(out, fragment + 6, this.#id & 0xffff);
    } else {
      writeU16(out, at + 2, size);
      writeU16(out, at + 6, (place / 8) | (more ? MORE_FRAGMENTS : 0));
      writeIpv4Checksum(out, at);
    }
  }
}
