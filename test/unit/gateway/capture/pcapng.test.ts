/** Capture files, byte by byte as the draft has them, and read by a reader that is not ours. */
import { expect, test } from 'vitest';
import { readPcapng } from '../../../../lab/pcapng-reader.ts';
import {
  pcapngHeader,
  pcapngPackets,
  pcapngStatistics,
} from '../../../../src/gateway/capture/pcapng.ts';

const ABOUT = {
  application: 'app',
  os: 'Linux',
  interfaceName: 'cw0',
  interfaceDescription: 'plain',
  filter: undefined,
  snaplen: 65_535,
};

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s|;.*$/gm, ''), 'hex'));
}

test('the header: a section and one interface of raw IP', () => {
  expect(pcapngHeader(ABOUT)).toEqual(
    bytes(`
      0a0d0d0a 34000000       ; section header block, 52 bytes
      4d3c2b1a 0100 0000      ; byte-order magic, version 1.0
      ffffffffffffffff        ; section length -1
      0300 0500 4c696e7578 000000
      0400 0300 617070 00
      0000 0000
      34000000
      01000000 40000000       ; interface description block, 64 bytes
      6500 0000 ffff0000      ; LINKTYPE_RAW = 101, snaplen
      0200 0300 637730 00
      0300 0500 706c61696e 000000
      0900 0100 09 000000     ; if_tsresol 10^-9
      0c00 0500 4c696e7578 000000
      0000 0000
      40000000`),
  );
});

test('a packet that was cut, with comment, direction and what was lost before it', () => {
  const packet = pcapngPackets([
    {
      time: 1_700_000_000_123.25,
      direction: 'in',
      comment: 'hello',
      length: 1_000,
      bytes: Uint8Array.of(0x45, 0, 1, 2, 3),
      lostBefore: 7,
    },
  ]);
  // 1,700,000,000.123250000 s = 0x17979cfe 3d82a550 ns
  expect(packet).toEqual(
    bytes(`
      06000000 4c000000       ; enhanced packet block, 76 bytes
      00000000                ; interface 0
      fe9c9717 50a5823d       ; time, the upper word first
      05000000 e8030000
      4500010203 000000
      0100 0500 68656c6c6f 000000
      0200 0400 01000000      ; inbound
      0400 0800 0700000000000000
      0000 0000
      4c000000`),
  );
});

test('the statistics at the end', () => {
  const totals = { start: 1_000, end: 2_000, received: 9, lost: 2, written: 7 };
  expect(pcapngStatistics(totals)).toEqual(
    bytes(`
      05000000 58000000 00000000
      00000000 00943577
      0200 0800 00000000 00ca9a3b
      0300 0800 00000000 00943577
      0400 0800 0900000000000000
      0500 0800 0200000000000000
      0800 0800 0700000000000000
      0000 0000
      58000000`),
  );
});

test('what is written is read', () => {
  const filter = 'tcp and not port 443';
  const comment = 'direction=out peer=bücher verdict=accepted';
  const time = 1_790_000_000_000.75;
  const file = Buffer.concat([
    pcapngHeader({ ...ABOUT, filter, interfaceName: 'causeway0' }),
    pcapngPackets(
      [0, 1, 2, 3, 4, 1_279].map((length) => ({
        time,
        direction: 'out' as const,
        comment,
        length: length + 1,
        bytes: new Uint8Array(length).fill(length),
        lostBefore: 0,
      })),
    ),
    pcapngStatistics({ start: 1, end: 2, received: 6, lost: 0, written: 6 }),
  ]);
  const read = readPcapng(file);
  expect(read).toMatchObject({
    ...{ filter, interfaceName: 'causeway0', linkType: 101, received: 6, dropped: 0 },
  });
  expect(read.packets.map((packet) => packet.bytes.length)).toEqual([0, 1, 2, 3, 4, 1_279]);
  expect(new Set(read.packets.map((packet) => packet.comment))).toEqual(new Set([comment]));
  expect(read.packets[0]).toMatchObject({ direction: 'out', dropCount: 0, length: 1 });
  expect(read.packets[0]!.nanoseconds).toBe(1_790_000_000_000_750_000n);
});
