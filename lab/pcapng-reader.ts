/**
 * A reader of pcapng files (draft-ietf-opsawg-pcapng) for tests, written from the draft and from nothing
 * of ours; it throws at whatever the draft forbids.
 */
export interface PcapngBlock {
  readonly type: number;
  readonly body: Buffer;
  /** Option code and value, in their order. */
  readonly options: readonly (readonly [number, Buffer])[];
}

export interface PcapngRecord {
  readonly nanoseconds: bigint;
  readonly length: number;
  readonly bytes: Buffer;
  readonly comment: string;
  readonly direction: 'in' | 'out' | undefined;
  readonly dropCount: number;
}

export interface PcapngFile {
  readonly application: string;
  readonly interfaceName: string;
  readonly description: string;
  readonly linkType: number;
  readonly snaplen: number;
  readonly filter: string | undefined;
  readonly packets: readonly PcapngRecord[];
  /** Of the statistics at the end; undefined = the file has no end. */
  readonly received: number | undefined;
  readonly dropped: number | undefined;
}

export function pcapngBlocks(bytes: Buffer): PcapngBlock[] {
  const blocks: PcapngBlock[] = [];
  for (let at = 0; at < bytes.length; ) {
    const type = bytes.readUInt32LE(at);
    const total = bytes.readUInt32LE(at + 4);
    if (total % 4 !== 0 || total < 12) throw new Error(`a block of ${total} bytes`);
    if (bytes.readUInt32LE(at + total - 4) !== total)
      throw new Error('the lengths of a block differ');
    const fixed = fixedLength(type, bytes.subarray(at + 8, at + total - 4));
    const inside = bytes.subarray(at + 8, at + total - 4);
    blocks.push({
      type,
      body: inside.subarray(0, fixed),
      options: options(inside.subarray(fixed)),
    });
    at += total;
  }
  return blocks;
}

function fixedLength(type: number, body: Buffer): number {
  switch (type) {
    case 0x0a0d0d0a:
      return 16;
    case 1:
      return 8;
    case 5:
      return 12;
    case 6:
      return 20 + Math.ceil(body.readUInt32LE(12) / 4) * 4;
    default:
      throw new Error(`a block of type ${type}`);
  }
}

function options(bytes: Buffer): [number, Buffer][] {
  const found: [number, Buffer][] = [];
  for (let at = 0; at < bytes.length; ) {
    const code = bytes.readUInt16LE(at);
    const length = bytes.readUInt16LE(at + 2);
    if (code === 0) {
      if (length !== 0 || at + 4 !== bytes.length)
        throw new Error('options do not end where they end');
      return found;
    }
    found.push([code, bytes.subarray(at + 4, at + 4 + length)]);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  if (found.length > 0) throw new Error('options have no end');
  return found;
}

export function readPcapng(bytes: Buffer): PcapngFile {
  const [section, description, ...rest] = pcapngBlocks(bytes);
  if (section?.type !== 0x0a0d0d0a || description?.type !== 1) throw new Error('no header');
  if (section.body.readUInt32LE(0) !== 0x1a2b3c4d) throw new Error('no byte-order magic');
  const option = (block: PcapngBlock | undefined, code: number): Buffer | undefined =>
    block?.options.find(([known]) => known === code)?.[1];
  if (option(description, 9)?.[0] !== 9) throw new Error('times are not in nanoseconds');
  const statistics = rest.at(-1)?.type === 5 ? rest.pop() : undefined;
  const number = (code: number): number | undefined => {
    const value = option(statistics, code);
    return value && Number(value.readBigUInt64LE());
  };
  return {
    application: option(section, 4)?.toString() ?? '',
    interfaceName: option(description, 2)?.toString() ?? '',
    description: option(description, 3)?.toString() ?? '',
    linkType: description.body.readUInt16LE(0),
    snaplen: description.body.readUInt32LE(4),
    filter: option(description, 11)?.subarray(1).toString(),
    packets: rest.map((block) => {
      if (block.type !== 6 || block.body.readUInt32LE(0) !== 0) throw new Error('no packet');
      const { body } = block;
      const captured = body.readUInt32LE(12);
      const bits = (option(block, 2)?.readUInt32LE() ?? 0) & 3;
      return {
        nanoseconds: (BigInt(body.readUInt32LE(4)) << 32n) + BigInt(body.readUInt32LE(8)),
        length: body.readUInt32LE(16),
        bytes: body.subarray(20, 20 + captured),
        comment: option(block, 1)?.toString() ?? '',
        direction: bits === 1 ? 'in' : bits === 2 ? 'out' : undefined,
        dropCount: Number(option(block, 4)?.readBigUInt64LE() ?? 0),
      };
    }),
    received: number(4),
    dropped: number(5),
  };
}
