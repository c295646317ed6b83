/**
 * A TUN device that sends every packet back with its addresses exchanged, and traffic through it:
 * what is sent to the peer's address comes back to the own one, as if from the peer. Exchanging
 * addresses changes no checksum.
 *
 *   tun-mirror NAME OFFLOAD    in a namespace of the test's own; commands come by standard input
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { loadAddon, type PollHandle, READABLE } from '../../../src/native/addon.ts';
import { bindEndpoints, bindInbound, bindOutbound } from '../../../src/native/bindings.ts';
import { encodePacketTooBig, MOST_TOO_BIG_SIZE } from '../../../src/routing/packet-too-big.ts';
import { TunDevice, VNET_HEADER_SIZE } from '../../../src/tun/tun-device.ts';
import { EndpointTable, InboundVector, OutboundVector } from '../../../src/vector.ts';

const [name, offload] = process.argv.slice(2);
const MTU = 1420;
const addon = loadAddon();
const opened = addon.openTun(name!, true, false, offload === 'true', MTU);
if (opened.fd < 0) throw new Error(`errno ${opened.error}`);
const tun = new TunDevice(addon, opened);
const ARENA = 1 << 20;
const out = new OutboundVector(512, ARENA);
const back = new InboundVector(512, 8192, ARENA, 1);

/** Messages of the largest run since last asked, runs read, writes made. */
const seen = { largest: 0, read: 0, written: 0, packets: 0, dropped: 0 };

function exchange(packet: Uint8Array): void {
  const [at, size] = packet[0]! >> 4 === 6 ? [8, 16] : [12, 4];
  const source = packet.slice(at, at + size);
  packet.copyWithin(at, at + size, at + 2 * size);
  packet.set(source, at + size);
}

/** Packets longer than this are not mirrored: their sender is told. */
let limit = Number.POSITIVE_INFINITY;
const answer = new Uint8Array(VNET_HEADER_SIZE + MOST_TOO_BIG_SIZE);

function isTooLong(offset: number, size: number): boolean {
  if (size <= limit) return false;
  const room = answer.subarray(VNET_HEADER_SIZE);
  const length = encodePacketTooBig(out.arena, offset, size, limit, room);
  return length > 0 && tun.writePacket(answer, length);
}

function mirror(): void {
  out.clear();
  tun.read(out, MTU, 1 << 18);
  seen.dropped += tun.malformed + tun.options + tun.unknownOffload;
  back.clear();
  back.arena.set(out.arena.subarray(0, out.used));
  for (let i = 0; i < out.length; i++) {
    const count = out.count[i]!;
    seen.read += 1;
    seen.packets += count;
    seen.largest = Math.max(seen.largest, count);
    back.offset[i] = out.offset[i]!;
    back.stride[i] = out.stride[i]!;
    back.count[i] = count;
    back.lastSize[i] = out.lastSize[i]!;
    back.slot[i] = 0;
    back.first[i] = back.messages;
    for (let k = 0; k < count; k++) {
      const size = (k === count - 1 ? out.lastSize[i]! : out.stride[i]!) - 32;
      const at = out.offset[i]! + k * out.stride[i]! + 16;
      exchange(back.arena.subarray(at, at + size));
      back.plain[back.messages + k] = isTooLong(at, size) ? 0 : size;
    }
    back.messages += count;
  }
  back.length = out.length;
  const groups = tun.gather(back);
  seen.written += groups.length;
  seen.dropped += tun.malformed + tun.options + tun.write(back);
}

// A poll that nobody holds is collected, and closed.
const tunPoll = addon.createPoll(tun.fd, mirror);
addon.setPoll(tunPoll, READABLE);
let watching: PollHandle | undefined;

/** Sends random bytes to ourselves by way of the peer's address; whether they came as they went. */
function transfer(own: string, peer: string, bytes: number): Promise<boolean> {
  const sent = createHash('sha256');
  const received = createHash('sha256');
  return new Promise((resolve, reject) => {
    const server = createServer((socket: Socket) => {
      socket.on('data', (data) => received.update(data));
      socket.on('end', () => {
        server.close();
        socket.end();
        resolve(sent.digest('hex') === received.digest('hex'));
      });
    });
    server.listen(0, own, () => {
      const { port } = server.address() as { port: number };
      const client = connect({ host: peer, port, localAddress: own });
      client.on('error', reject);
      client.on('connect', () => {
        for (let left = bytes; left > 0; left -= 1 << 16) {
          const block = randomBytes(Math.min(left, 1 << 16));
          sent.update(block);
          client.write(block);
        }
        client.end();
      });
    });
  });
}

/** Sends datagrams as one UDP GSO send; how many came back whole, and in how many runs. */
async function datagrams(peer: string, count: number, size: number): Promise<[number, number]> {
  const socket = addon.openUdp(4, 0, 0, 1 << 20, true);
  const table = new EndpointTable(1);
  table.words[0] = 4 | (socket.port << 16);
  table.bytes.set(peer.split('.').map(Number), 4);
  const vector = new OutboundVector(1, count * size);
  for (let i = 0; i < vector.arena.length; i++) vector.arena[i] = Math.floor(i / size);
  vector.count[0] = count;
  vector.stride[0] = vector.lastSize[0] = size;
  vector.slot[0] = -2;
  const received = new InboundVector(256, 256, 1 << 19, 8);
  let [whole, runs] = [0, 0];
  const all = new Promise<void>((resolve) => {
    const poll = addon.createPoll(socket.fd, () => {
      addon.udpReceive(socket.fd, bindInbound(addon, received), 8);
      for (let i = 0; i < addon.results[1]!; i++, runs++) {
        for (let k = 0; k < received.count[i]!; k++) {
          const at = received.offset[i]! + k * received.stride[i]!;
          const bytes = received.arena.subarray(at, at + received.lastSize[i]!);
          if (bytes.length === size && bytes.every((byte) => byte === whole)) whole += 1;
        }
      }
      if (whole < count) return;
      addon.closePoll(poll);
      resolve();
    });
    addon.setPoll(poll, READABLE);
  });
  const endpoints = bindEndpoints(addon, table);
  addon.udpSend(socket.fd, -1, true, true, bindOutbound(addon, vector), 1, endpoints, false);
  await all;
  addon.close(socket.fd);
  return [whole, runs];
}

const say = (...words: unknown[]): void => void process.stdout.write(`${words.join(' ')}\n`);
const shown = (): string => {
  const text = JSON.stringify(seen);
  Object.assign(seen, { largest: 0, read: 0, written: 0, packets: 0, dropped: 0 });
  return text;
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...args] = line.split(' ') as [string, ...string[]];
  if (command === 'transfer') {
    say('transferred', await transfer(args[0]!, args[1]!, Number(args[2])), shown());
  } else if (command === 'datagrams') {
    const [whole, runs] = await datagrams(args[0]!, Number(args[1]), Number(args[2]));
    say('received', whole, runs, shown());
  } else if (command === 'watch') {
    // RTMGRP_LINK, in the namespace where the device is now.
    const netlink = addon.openNetlink(1, tun.fd, 0, 1 << 20);
    const into = new Uint8Array(1 << 16);
    watching = addon.createPoll(netlink, () => {
      for (;;) {
        const got = addon.receive(netlink, into);
        if (got <= 0) break;
        const text = Buffer.from(into.subarray(0, got)).toString('latin1');
        say('link', /[a-z]+-[a-z]+/.exec(text)?.[0] ?? 'unknown');
      }
    });
    addon.setPoll(watching, READABLE);
    say('watching', netlink >= 0);
  } else if (command === 'limit') {
    limit = Number(args[0]);
    say('limited');
  } else if (command === 'name') {
    say('name', addon.tunName(tun.fd));
  } else if (command === 'again') {
    // The name is taken, and may be shared only by queues.
    const again = addon.openTun(name!, true, false, true, 0);
    say('again', again.fd, again.error);
  }
}
if (watching !== undefined) addon.closePoll(watching);
addon.closePoll(tunPoll);
process.exit(0);
