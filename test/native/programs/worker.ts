/** What one worker thread of `workers.test.ts` does. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Addon, loadAddon, READABLE, WRITABLE } from '../../../src/native/addon.ts';
import { bindInbound, bindOutbound } from '../../../src/native/bindings.ts';
import { EndpointTable, InboundVector, OutboundVector } from '../../../src/vector.ts';

const addon: Addon = loadAddon();
const tell = (message: unknown): void => parentPort!.postMessage(message);

const open = (): number => addon.openUdp(4, 0, 0, 1 << 16, true).fd;

/** Seals, sends to itself, receives, opens and compares, some hundred times. */
function traffic(): void {
  const socket = addon.openUdp(4, 0, 0, 1 << 18, true);
  const table = new EndpointTable(1);
  const endpoints = addon.bindEndpoints(table.bytes);
  table.words[0] = 4 | (socket.port << 16);
  table.bytes.set([127, 0, 0, 1], 4);
  const out = new OutboundVector(1, 20 * 500);
  const received = new InboundVector(64, 64, 1 << 16, 1);
  const keys = addon.createKeys(1);
  const key = new Uint8Array(32).fill(socket.port & 255);
  addon.setKeys(keys, 0, key, key);
  for (let round = 0; round < 200; round++) {
    out.arena.fill(round & 255);
    out.count[0] = 20;
    out.stride[0] = out.lastSize[0] = 500;
    out.counter[0] = round * 20;
    out.slot[0] = 0;
    out.head[0] = 4;
    if (addon.sealVector(keys, bindOutbound(addon, out), 1) !== 0) throw new Error('not sealed');
    addon.udpSend(socket.fd, -1, true, true, bindOutbound(addon, out), 1, endpoints, false);
    for (let messages = 0; messages < 20; ) {
      addon.udpReceive(socket.fd, bindInbound(addon, received), 1);
      const runs = addon.results[1]!;
      if (runs === 0) throw new Error('not received');
      messages += addon.results[2]!;
      received.slot.fill(0, 0, runs);
      addon.openVector(keys, bindInbound(addon, received), runs);
      for (let i = 0; i < addon.results[2]!; i++) {
        if (received.plain[i] !== 468) throw new Error('not opened');
      }
      if (received.arena[received.offset[0]! + 16] !== (round & 255)) throw new Error('differs');
    }
  }
  addon.close(socket.fd);
}

switch (workerData.task) {
  case 'traffic':
    traffic();
    tell('done');
    break;
  case 'handles':
    try {
      addon.clearKeys(0 as never, 0);
    } catch (error) {
      tell((error as Error).message);
    }
    break;
  case 'polls': {
    const fds = Array.from({ length: 10 }, open);
    for (const fd of fds)
      addon.setPoll(
        addon.createPoll(fd, () => undefined),
        READABLE,
      );
    addon.setKeys(addon.createKeys(4), 1, new Uint8Array(32), new Uint8Array(32));
    tell(fds);
    break;
  }
  case 'busy': {
    const fds = Array.from({ length: 3 }, open);
    for (const fd of fds) {
      const poll = addon.createPoll(fd, () => {
        for (const end = performance.now() + 5; performance.now() < end; );
      });
      addon.setPoll(poll, WRITABLE);
    }
    tell(fds);
    break;
  }
  case 'exit': {
    const fd = open();
    addon.setPoll(
      addon.createPoll(fd, () => process.exit(3)),
      WRITABLE,
    );
    tell([fd]);
    break;
  }
  case 'throw': {
    const fd = open();
    const poll = addon.createPoll(fd, () => {
      addon.closePoll(poll);
      addon.close(fd);
      throw new Error('from the callback');
    });
    addon.setPoll(poll, WRITABLE);
  }
}
