/**
 * Messages that a kernel (6.18) sent for connections on a loopback interface, and what `conntrack`
 * (1.4.7) printed of the same ones at the same time.
 */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../../src/routing/address.ts';
import {
  ConntrackDecoder,
  type ConntrackReader,
  type ConntrackRecord,
  encodeConntrackDump,
  STATUS,
} from '../../../src/tun/conntrack-messages.ts';

/** tcp 119 TIME_WAIT src=10.9.9.1 dst=10.9.9.9 sport=33076 dport=80 packets=5 bytes=271
 *  src=127.0.0.1 dst=10.9.9.1 sport=7777 dport=33076 packets=3 bytes=164 [ASSURED] id=157352925 */
const TCP_DESTROYED =
  '040100000201000000000000c46e0000020000003400018014000180080001000a090901080002000a0909091c0002800500010006000000060002008134000006000300005000003400028014000180080001007f000001080002000a0909011c0002800500010006000000060002001e610000060003008134000008000c00096103dd08000300000003ae08000700000000771c0009800c00010000000000000000050c000200000000000000010f1c000a800c00010000000000000000030c00020000000000000000a41c0014800c00010018ec451bde78037d0c00020018ec451bf360e182100004800c00018005000100070000000c001b0018ec451bf360e1be';
/** tcp 120 SYN_SENT src=10.9.9.1 dst=10.9.9.9 sport=33076 dport=80 [UNREPLIED] …, as an event */
const TCP_NEW =
  'd0000000000100060000000000000000020000003400018014000180080001000a090901080002000a0909091c0002800500010006000000060002008134000006000300005000003400028014000180080001007f000001080002000a0909011c0002800500010006000000060002001e610000060003008134000008000c00096103dd08000300000001a80800070000000078300004802c0001800500010001000000050002000a0000000500030000000000060004000300000006000500000000000c001b0018ec451bde776f88';
/** icmpv6 58 29 src=::1 dst=::1 type=128 code=0 id=28321 packets=1 bytes=104 src=::1 dst=::1
 *  type=129 code=0 id=28321 packets=1 bytes=104 id=1217958907; the first message of a dump */
const ICMPV6_LISTED =
  '2c01000000010200050000006122008f0a000000540001802c0001801400030000000000000000000000000000000001140004000000000000000000000000000000000124000280050001003a000000060007006ea1000005000800800000000500090000000000540002802c0001801400030000000000000000000000000000000001140004000000000000000000000000000000000124000280050001003a000000060007006ea1000005000800810000000500090000000000080003000000018a080008000000000008000c00489893fb08000b0000000001080007000000001d1c0009800c00010000000000000000010c00020000000000000000681c000a800c00010000000000000000010c0002000000000000000068100014800c00010018ec451bda990b37';
/** udp 17 29 src=127.0.0.1 dst=127.0.0.1 sport=37714 dport=9 packets=1 bytes=30 [UNREPLIED]
 *  packets=0 bytes=0 id=3463259104 */
const UDP_LISTED =
  'ec00000000010200050000006122008f020000003400018014000180080001007f000001080002007f0000011c0002800500010011000000060002009352000006000300000900003400028014000180080001007f000001080002007f0000011c0002800500010011000000060002000009000006000300935200000800030000000188080008000000000008000c00ce6d23e008000b0000000001080007000000001d1c0009800c00010000000000000000010c000200000000000000001e1c000a800c00010000000000000000000c0002000000000000000000100014800c00010018ec451bdeca9c3d';
const DONE = '1400000003000200050000006122008f00000000';
/** NLMSG_ERROR with -EPERM, for the dump request without CAP_NET_ADMIN. */
const REFUSED = '2400000002000000050000006122008fffffffff14000000010101030500000000000000';

interface Seen {
  readonly records: Record<string, unknown>[];
  readonly ends: (boolean | number)[];
}

function told(record: ConntrackRecord): Record<string, unknown> {
  const { original, reply, ...rest } = record;
  const text = (bytes: Uint8Array): string =>
    formatAddress(bytes.subarray(0, record.family === 4 ? 4 : 16));
  return {
    ...rest,
    from: `${text(original.source)} ${original.sourcePort}`,
    to: `${text(original.destination)} ${original.destinationPort}`,
    answersFrom: `${text(reply.source)} ${reply.sourcePort}`,
    answersTo: `${text(reply.destination)} ${reply.destinationPort}`,
  };
}

function decode(hex: string, decoder = new ConntrackDecoder()): Seen {
  const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
  const seen: Seen = { records: [], ends: [] };
  const reader: ConntrackReader = {
    onConnection: (record) => seen.records.push(told(record)),
    onDone: (consistent) => seen.ends.push(consistent),
    onError: (errno) => seen.ends.push(errno),
  };
  decoder.decode(bytes, bytes.length, reader);
  return seen;
}

describe('conntrack messages', () => {
  test('a TCP connection that was translated and has ended', () => {
    const { records, ends } = decode(TCP_DESTROYED);
    expect(ends).toEqual([]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      ...{ destroyed: true, family: 4, protocol: 6, tcpState: 7, id: 157_352_925 },
      ...{ from: '10.9.9.1 33076', to: '10.9.9.9 80' },
      ...{ answersFrom: '127.0.0.1 7777', answersTo: '10.9.9.1 33076' },
      ...{ counted: true, packetsOut: 5, bytesOut: 271, packetsBack: 3, bytesBack: 164 },
      ...{ mark: 0, zone: 0, icmpType: -1 },
    });
    const { status, start, stop } = records[0] as unknown as ConntrackRecord;
    expect(status & (STATUS.seenReply | STATUS.assured)).toBe(STATUS.seenReply | STATUS.assured);
    expect(status & (STATUS.targetNat | STATUS.sourceNat)).toBe(STATUS.targetNat);
    expect(new Date(start).toISOString()).toBe('2026-11-28T17:18:57.412Z');
    expect(stop - start).toBe(351);
  });

  test('a TCP connection of which the first segment was seen', () => {
    expect(decode(TCP_NEW).records).toEqual([
      expect.objectContaining({ destroyed: false, tcpState: 1, counted: false, start: 0, stop: 0 }),
    ]);
  });

  test('ICMPv6 has a type, a code and an id in the place of ports', () => {
    expect(decode(ICMPV6_LISTED).records).toEqual([
      expect.objectContaining({
        ...{ family: 6, protocol: 58, from: '::1 0', to: '::1 0', answersFrom: '::1 0' },
        ...{ icmpType: 128, icmpCode: 0, icmpId: 28_321, id: 1_217_958_907 },
        ...{ packetsOut: 1, bytesOut: 104, packetsBack: 1, bytesBack: 104 },
      }),
    ]);
  });

  test('several messages in one buffer, and what one has does not stay for the next', () => {
    const { records, ends } = decode(ICMPV6_LISTED + UDP_LISTED + DONE + REFUSED);
    expect(records).toHaveLength(2);
    expect(records[1]).toMatchObject({
      ...{ family: 4, protocol: 17, from: '127.0.0.1 37714', to: '127.0.0.1 9' },
      ...{ icmpType: -1, icmpId: 0, packetsOut: 1, bytesOut: 30, packetsBack: 0, bytesBack: 0 },
      id: 3_463_259_104,
    });
    expect((records[1]!.status as number) & STATUS.seenReply).toBe(0);
    expect(ends).toEqual([true, 1]);
  });

  test('an interrupted dump is no consistent one', () => {
    const interrupted = DONE.replace('0200', '1200');
    const decoder = new ConntrackDecoder();
    expect(decode(interrupted, decoder).ends).toEqual([false]);
    expect(decode(DONE, decoder).ends).toEqual([true]);
  });

  test('a connection without one of its tuples is none; a cut message ends the decoding', () => {
    expect(decode(UDP_LISTED.slice(0, 100)).records).toEqual([]);
    const replyGone = TCP_NEW.replace('34000280', '3400ff80');
    expect(decode(replyGone + ICMPV6_LISTED).records).toHaveLength(1);
    const unknownFamily = TCP_NEW.replace('020000003400', '070000003400');
    expect(decode(unknownFamily).records).toEqual([]);
  });

  test('the request for all', () => {
    expect(Buffer.from(encodeConntrackDump(5)).toString('hex')).toBe(
      '1400000001010103050000000000000000000000',
    );
  });
});
