/**
 * The data-plane worker: owns the protocol's state, the sockets and the packet loop. Commands come
 * from the main thread and are answered one by one; see messages.ts.
 */
import { constants } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { bytesToHex, wipe } from '../../bytes.ts';
import { Clock } from '../../clock.ts';
import { DropCounters } from '../../drops.ts';
import { CausewayError } from '../../errors.ts';
import { loadAddon } from '../../native/addon.ts';
import type { Instant } from '../../time.ts';
import { TunDevice } from '../../tun/tun-device.ts';
import { SocketError, UdpSockets } from '../../udp/udp-sockets.ts';
import { EndpointTable } from '../../vector.ts';
import type { DeviceChange } from '../../wireguard/configuration.ts';
import { Device } from '../../wireguard/device.ts';
import { SCRATCH_ENDPOINTS, SLOTS_PER_PEER } from '../../wireguard/device-state.ts';
import type { DeviceEvent } from '../../wireguard/events.ts';
import { PeerStatistics } from '../../wireguard/peer-statistics.ts';
import type { PacketTap, TapOptions } from '../capture/packet-tap.ts';
import { collectGarbage } from '../start-memory.ts';
import { chooseCryptography } from './crypto-choice.ts';
import type { Command, PeerNumber, Report, WorkerOptions } from './messages.ts';
import { PacketLoop } from './packet-loop.ts';
import { warmUp } from './warm-up.ts';

if (parentPort === null) throw new Error('the data plane runs in a worker thread');
const port = parentPort;
const report = (message: Report): void => port.postMessage(message);

const options = workerData as WorkerOptions;
const addon = loadAddon();
const { makeAead, primitives, refusal } = await chooseCryptography(addon, options.crypto);
const aead = makeAead(options.maxPeers * SLOTS_PER_PEER);
const random = (into: Uint8Array): void => addon.random(into);
// The collector drops compiled code that was not used for a while; and objects that are older than
// the code which was compiled for their like may not fit it.
collectGarbage();
warmUp({ makeAead, primitives, random });

const clock = new Clock();
const drops = new DropCounters(options.figures.drops);
const endpoints = new EndpointTable(options.maxPeers + SCRATCH_ENDPOINTS);
const device = new Device({
  aead,
  primitives,
  random,
  endpoints,
  statistics: new PeerStatistics(options.maxPeers, options.figures.peers),
  drops,
  maxPeers: options.maxPeers,
});
const loop = new PacketLoop({
  addon,
  tun: new TunDevice(addon, options.tun),
  device,
  aead,
  drops,
  clock,
  onGone: () => report({ kind: 'gone' }),
  onEvents: reportEvents,
  onSocketsLost: () => {
    useSockets(undefined);
    bind();
  },
});

/** Milliseconds between a change of routes or addresses and the news of it to the peers. */
const ANNOUNCE_AFTER = 50;
/** Milliseconds from one such news to the next at the least: routes may change all the time. */
const ANNOUNCE_INTERVAL = 1_000;

/** Milliseconds until a port that was in use is tried again. */
const BIND_AGAIN_AFTER = 5_000;

/** The interface is up; so are we, as soon as there are sockets. */
let linkUp = false;
let up = false;
let listenPort = 0;
let fwmark = 0;
let dontFragment = false;

function openSockets(port: number, mark: number): UdpSockets {
  const sockets = UdpSockets.open(addon, port, mark, endpoints);
  if (dontFragment) sockets.setDontFragment(true);
  return sockets;
}

function reportEvents(): void {
  let events: DeviceEvent[] | undefined;
  for (let event = device.pollEvent(); event !== undefined; event = device.pollEvent()) {
    events ??= [];
    events.push(event);
  }
  if (events !== undefined) report({ kind: 'events', events });
}

function useSockets(sockets: UdpSockets | undefined): void {
  loop.useSockets(sockets);
  report({ kind: 'sockets', port: sockets?.port ?? 0, offloads: sockets?.offloads ?? [] });
}

const errnoNames = Object.entries(constants.errno);

/** The change is checked by the main thread; what can still fail is the port and the mark. */
function apply(id: number, change: DeviceChange): void {
  const now = clock.read();
  try {
    applySockets(change, now);
    device.configure(change, now);
  } catch (error) {
    if (error instanceof CausewayError) {
      report({ kind: 'refused', id, errno: 'EINVAL', message: error.message });
      return;
    }
    if (!(error instanceof SocketError)) throw error;
    const name = errnoNames.find(([, value]) => value === error.errno)?.[0];
    const errno =
      name === 'EADDRINUSE' || name === 'EACCES' || name === 'EPERM' ? name : ('EIO' as const);
    const what =
      errno === 'EADDRINUSE'
        ? `UDP port ${change.listenPort ?? listenPort} is in use`
        : `the UDP socket could not be opened (${name ?? error.errno})`;
    report({ kind: 'refused', id, errno, message: what });
    return;
  }
  const peers: PeerNumber[] = [];
  if (change.privateKey !== undefined) wipe(change.privateKey);
  for (const { publicKey, presharedKey } of change.peers) {
    if (presharedKey !== undefined) wipe(presharedKey);
    const hex = bytesToHex(publicKey);
    const number = device.peerNumber(hex);
    if (number >= 0) peers.push({ publicKey: hex, number });
  }
  report({ kind: 'applied', id, peers });
  loop.afterChange();
  prepareSoon();
}

let preparing = false;
let closing = false;

/** One piece of work ahead in each turn of the event loop, so that packets wait for one at the most. */
function prepareSoon(): void {
  if (preparing || closing) return;
  preparing = true;
  setImmediate(() => {
    preparing = false;
    if (!closing && device.prepare()) prepareSoon();
  });
}

function applySockets(change: DeviceChange, now: Instant): void {
  const wantedPort = change.listenPort ?? listenPort;
  const wantedMark = change.fwmark ?? fwmark;
  const sockets = loop.sockets;
  if (change.dontFragment !== undefined) {
    dontFragment = change.dontFragment;
    sockets?.setDontFragment(dontFragment);
  }
  if (change.listenPort !== undefined && change.listenPort !== sockets?.port) {
    // While the link is down nothing is bound, but a port that is taken is said at once.
    const opened = openSockets(wantedPort, wantedMark);
    if (linkUp) {
      useSockets(opened);
      device.clearStickySources();
      goUp(now);
    } else {
      opened.close();
    }
  } else if (change.fwmark !== undefined) {
    sockets?.setMark(wantedMark);
    device.clearStickySources();
  }
  // What is opened again later is the same port, whoever chose it.
  listenPort = (linkUp ? loop.sockets?.port : undefined) ?? wantedPort;
  fwmark = wantedMark;
}

let announced = Number.NEGATIVE_INFINITY;
let announcing = false;

/**
 * The peers that we keep a mapping for (relays above all) learn our new address at once. One change of
 * the network is many messages of the kernel: what is sent after the last of them counts.
 */
function announceAddress(): void {
  if (announcing) return;
  announcing = true;
  const wait = Math.max(ANNOUNCE_AFTER, announced + ANNOUNCE_INTERVAL - performance.now());
  setTimeout(() => {
    const now = clock.read();
    announcing = false;
    announced = now.monotonic;
    if (!up) return;
    device.sendKeepalives(now);
    loop.afterChange();
  }, wait).unref();
}

function goUp(now: Instant): void {
  if (up) return;
  up = true;
  device.up(now);
}

/** Binds the port, or says that it cannot and tries again. */
function bind(): void {
  const now = clock.read();
  try {
    useSockets(openSockets(listenPort, fwmark));
    listenPort = loop.sockets?.port ?? listenPort;
    goUp(now);
    loop.afterChange();
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    const message = `UDP port ${listenPort} could not be bound (errno ${error.errno})`;
    report({ kind: 'bind-failed', message });
    setTimeout(() => {
      if (linkUp && loop.sockets === undefined) bind();
    }, BIND_AGAIN_AFTER).unref();
  }
}

/** What is done about captures, one after the other: the code for it is loaded when it is needed. */
let capturing: Promise<void> = Promise.resolve();

function changeCapture(change: () => void | Promise<void>): void {
  capturing = capturing.then(change);
}

async function beginCapture(options: TapOptions): Promise<void> {
  const { PacketTap } = await import('../capture/packet-tap.ts');
  loop.tap = new PacketTap(device, clock.read(), options);
  report({ kind: 'capturing' });
}

function setLink(isUp: boolean, mtu: number): void {
  device.mtu = mtu;
  linkUp = isUp;
  if (isUp && loop.sockets === undefined) {
    bind();
  } else if (!isUp && up) {
    up = false;
    device.down(clock.read());
    useSockets(undefined);
  }
  loop.afterChange();
}

port.on('message', (command: Command) => {
  switch (command.kind) {
    case 'apply':
      apply(command.id, command.change);
      break;
    case 'link':
      setLink(command.up, command.mtu);
      break;
    case 'routes-changed':
      device.clearStickySources();
      loop.sockets?.forgetPaths();
      announceAddress();
      break;
    case 'capture':
      changeCapture(() => beginCapture(command.options));
      break;
    case 'capture-peers':
      changeCapture(() => (loop.tap as PacketTap | undefined)?.usePeers(command.peers));
      break;
    case 'capture-end':
      changeCapture(() => {
        loop.tap = undefined;
      });
      break;
    case 'close':
      closing = true;
      device.bidFarewell();
      loop.afterChange();
      device.down(clock.read());
      loop.close();
      report({ kind: 'closed' });
      port.close();
      break;
  }
});

report({ kind: 'ready', crypto: aead.name, ...(refusal === undefined ? {} : { refusal }) });
