/**
 * The main thread's model of a device's configuration: keys, peers and allowed IPs as the operator
 * set them. It refuses a wrong change before anything is touched, applies it to itself as a whole,
 * and answers snapshots without asking the data plane, which gets the same `DeviceChange`.
 *
 * Rules it keeps, as the kernel's WireGuard does: a prefix belongs to one peer, and adding it takes
 * it from the peer that had it; a peer with the device's own public key is ignored, or removed when
 * the private key arrives later; private keys are clamped.
 */
import { bytesToHex, isZero } from '../bytes.ts';
import {
  clamp,
  KEY_SIZE,
  type PresharedKey,
  type PrivateKey,
  type PublicKey,
  presharedKey,
  privateKey,
  publicKey,
} from '../keys.ts';
import {
  ALLOWED_IP_RECORD,
  type DeviceChange,
  type PeerChange,
  type PeerEndpoint,
  type RelayEndpoint,
} from '../wireguard/configuration.ts';
import { MAX_RELAY_ID } from '../wireguard/messages.ts';
import { MAX_RELAYS } from '../wireguard/relayed-sources.ts';
import {
  type PeerSnapshot,
  type PeerStatistics,
  TunnelError,
  type TunnelSnapshot,
  type TunnelStatistics,
} from './tunnel.ts';

/** As many peers as wireguard-go takes. */
export const MAX_PEERS = 65_536;
/** Over all peers. */
export const MAX_ALLOWED_IPS = 1_048_576;

/** IPv4: address * 64 + length. IPv6: 17 characters, one per byte, address then length. */
type PrefixKey = number | string;

interface PeerConfiguration {
  readonly publicKey: PublicKey;
  presharedKey: PresharedKey | undefined;
  /** As configured last; the data plane knows where the peer roamed to since. */
  endpoint: PeerEndpoint | undefined;
  persistentKeepalive: number;
  /** In order of addition. */
  readonly prefixes: Set<PrefixKey>;
}

/** What the data plane adds to a peer's configuration; undefined = it does not know the peer yet. */
export type StatisticsOf = (publicKey: PublicKey) => PeerStatistics | undefined;

export class TunnelConfiguration {
  readonly #publicKeyOf: (privateKey: Uint8Array) => Uint8Array;
  readonly #limits: { readonly peers: number; readonly allowedIps: number };
  #privateKey: PrivateKey | undefined;
  #publicKey: PublicKey | undefined;
  #fwmark = 0;
  /** As configured; the one that is bound is the data plane's to know. */
  #listenPort = 0;
  /** By the public key's hexadecimal form, in order of creation. */
  readonly #peers = new Map<string, PeerConfiguration>();
  readonly #owners = new Map<PrefixKey, PeerConfiguration>();

  /** @param publicKeyOf X25519 of a clamped private key with the base point */
  constructor(
    publicKeyOf: (privateKey: Uint8Array) => Uint8Array,
    limits = { peers: MAX_PEERS, allowedIps: MAX_ALLOWED_IPS },
  ) {
    this.#publicKeyOf = publicKeyOf;
    this.#limits = limits;
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  /** By the public key's hexadecimal form. */
  hasPeer(publicKey: string): boolean {
    return this.#peers.has(publicKey);
  }

  get allowedIpCount(): number {
    return this.#owners.size;
  }

  /**
   * Throws if the change cannot be applied; changes nothing.
   *
   * @throws TunnelError EINVAL, ENOSPC
   */
  check(change: DeviceChange): void {
    checkKey(change.privateKey, 'private key');
    checkRange(change.listenPort, 0xffff, 'listen port');
    checkRange(change.fwmark, 0xffffffff, 'fwmark');
    if (change.relays !== undefined) checkRelays(change.relays);
    let records = 0;
    for (const peer of change.peers) {
      checkPeer(peer);
      records += (peer.allowedIps?.length ?? 0) / ALLOWED_IP_RECORD;
    }
    if (
      this.#peers.size + change.peers.length > this.#limits.peers ||
      this.#owners.size + records > this.#limits.allowedIps
    ) {
      this.#checkLimits(change);
    }
  }

  /** Applies a change that `check` let pass. */
  apply(change: DeviceChange): void {
    if (change.privateKey !== undefined) this.#setPrivateKey(change.privateKey);
    if (change.fwmark !== undefined) this.#fwmark = change.fwmark;
    if (change.listenPort !== undefined) this.#listenPort = change.listenPort;
    if (change.replacePeers === true) {
      this.#peers.clear();
      this.#owners.clear();
    }
    for (const peer of change.peers) this.#applyPeer(peer);
  }

  snapshot(
    interfaceName: string,
    statistics: TunnelStatistics,
    statisticsOf: StatisticsOf,
  ): TunnelSnapshot {
    const peers: PeerSnapshot[] = [];
    for (const peer of this.#peers.values()) {
      const live = statisticsOf(peer.publicKey);
      peers.push({
        publicKey: peer.publicKey,
        presharedKey: peer.presharedKey,
        persistentKeepalive: peer.persistentKeepalive,
        allowedIps: packPrefixes(peer.prefixes),
        endpoint: live === undefined ? peer.endpoint : live.endpoint,
        lastHandshake: live?.lastHandshake ?? 0,
        rxBytes: live?.rxBytes ?? 0,
        txBytes: live?.txBytes ?? 0,
        ...(live?.path && { path: live.path }),
      });
    }
    return {
      ...statistics,
      // While the interface is down nothing is bound, and the port is still what was set.
      listenPort: statistics.listenPort || this.#listenPort,
      interfaceName,
      privateKey: this.#privateKey,
      publicKey: this.#publicKey,
      fwmark: this.#fwmark,
      peers,
    };
  }

  #setPrivateKey(bytes: Uint8Array): void {
    if (isZero(bytes)) {
      this.#privateKey = undefined;
      this.#publicKey = undefined;
      return;
    }
    const key = privateKey(bytes);
    clamp(key);
    this.#privateKey = key;
    this.#publicKey = publicKey(this.#publicKeyOf(key));
    this.#removePeer(bytesToHex(this.#publicKey));
  }

  #applyPeer(change: PeerChange): void {
    const id = bytesToHex(change.publicKey);
    if (change.remove === true) {
      this.#removePeer(id);
      return;
    }
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      const own = this.#publicKey !== undefined && bytesToHex(this.#publicKey) === id;
      if (change.updateOnly === true || own) return;
      peer = {
        publicKey: publicKey(change.publicKey),
        presharedKey: undefined,
        endpoint: undefined,
        persistentKeepalive: 0,
        prefixes: new Set(),
      };
      this.#peers.set(id, peer);
    }
    if (change.presharedKey !== undefined) {
      const none = isZero(change.presharedKey);
      peer.presharedKey = none ? undefined : presharedKey(change.presharedKey);
    }
    if (change.endpoint !== undefined) peer.endpoint = change.endpoint;
    if (change.persistentKeepalive !== undefined) {
      peer.persistentKeepalive = change.persistentKeepalive;
    }
    if (change.replaceAllowedIps === true) this.#dropPrefixes(peer);
    if (change.allowedIps !== undefined) this.#applyAllowedIps(peer, change.allowedIps);
  }

  #applyAllowedIps(peer: PeerConfiguration, records: Uint8Array): void {
    for (let at = 0; at < records.length; at += ALLOWED_IP_RECORD) {
      const key = prefixKey(records, at);
      const owner = this.#owners.get(key);
      if (records[at] === 0) {
        if (owner === peer) continue;
        owner?.prefixes.delete(key);
        peer.prefixes.add(key);
        this.#owners.set(key, peer);
      } else if (owner === peer) {
        peer.prefixes.delete(key);
        this.#owners.delete(key);
      }
    }
  }

  #removePeer(id: string): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#dropPrefixes(peer);
    this.#peers.delete(id);
  }

  #dropPrefixes(peer: PeerConfiguration): void {
    for (const key of peer.prefixes) this.#owners.delete(key);
    peer.prefixes.clear();
  }

  /** Exact, by applying the change to a copy: only where the quick upper bound says it may fail. */
  #checkLimits(change: DeviceChange): void {
    const { peers, allowedIps } = this.#limits;
    const copy = new TunnelConfiguration(this.#publicKeyOf, this.#limits);
    if (change.replacePeers !== true) {
      for (const [id, peer] of this.#peers) {
        const twin = { ...peer, prefixes: new Set(peer.prefixes) };
        copy.#peers.set(id, twin);
        for (const key of peer.prefixes) copy.#owners.set(key, twin);
      }
    }
    // The private key changes nothing about the limits that a removed own peer would not only ease.
    copy.#publicKey = this.#publicKey;
    for (const peer of change.peers) {
      copy.#applyPeer(peer);
      if (copy.peerCount > peers) throw new TunnelError('ENOSPC', `more than ${peers} peers`);
      if (copy.allowedIpCount > allowedIps) {
        throw new TunnelError('ENOSPC', `more than ${allowedIps} allowed IPs`);
      }
    }
  }
}

function checkPeer(peer: PeerChange): void {
  checkKey(peer.publicKey, 'public key');
  checkKey(peer.presharedKey, 'preshared key');
  checkRange(peer.persistentKeepalive, 0xffff, 'persistent keepalive');
  if (peer.endpoint !== undefined) checkEndpoint(peer.endpoint);
  if (peer.allowedIps !== undefined) checkAllowedIps(peer.allowedIps);
}

function checkEndpoint({ family, address, port, scope, relayId }: PeerEndpoint): void {
  const size = family === 4 ? 4 : family === 6 ? 16 : -1;
  if (address.length !== size) throw new TunnelError('EINVAL', 'endpoint address is malformed');
  if (port === 0) throw new TunnelError('EINVAL', 'endpoint port is 0');
  checkRange(port, 0xffff, 'endpoint port');
  checkRange(scope, 0x7fffffff, 'endpoint scope');
  checkRange(relayId, MAX_RELAY_ID, 'relay id');
}

function checkRelays(relays: readonly RelayEndpoint[]): void {
  if (relays.length > MAX_RELAYS) {
    throw new TunnelError('ENOSPC', `more than ${MAX_RELAYS} addresses of relays`);
  }
  for (const relay of relays) {
    checkEndpoint(relay);
    checkKey(relay.publicKey, 'public key of a relay');
  }
}

function checkAllowedIps(records: Uint8Array): void {
  const malformed = (): never => {
    throw new TunnelError('EINVAL', 'an allowed IP is malformed');
  };
  if (records.length % ALLOWED_IP_RECORD !== 0) malformed();
  for (let at = 0; at < records.length; at += ALLOWED_IP_RECORD) {
    const bits = records[at + 1] === 4 ? 32 : records[at + 1] === 6 ? 128 : -1;
    const length = records[at + 2]!;
    if (records[at]! > 1 || length > bits) malformed();
    // Host bits must be zero: the prefix is a key of maps on both sides.
    let byte = length >> 3;
    if (length % 8 !== 0) {
      if ((records[at + 4 + byte]! & (0xff >> (length % 8))) !== 0) malformed();
      byte++;
    }
    for (; byte < 16; byte++) if (records[at + 4 + byte] !== 0) malformed();
  }
}

function checkKey(key: Uint8Array | undefined, name: string): void {
  if (key !== undefined && key.length !== KEY_SIZE) {
    throw new TunnelError('EINVAL', `${name} is ${key.length} bytes long, not ${KEY_SIZE}`);
  }
}

function checkRange(value: number | undefined, max: number, name: string): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= max)) return;
  throw new TunnelError('EINVAL', `${name} is not between 0 and ${max}`);
}

function prefixKey(records: Uint8Array, at: number): PrefixKey {
  const length = records[at + 2]!;
  if (records[at + 1] === 4) {
    const high = records[at + 4]! * 0x1000000;
    const address = high + ((records[at + 5]! << 16) | (records[at + 6]! << 8) | records[at + 7]!);
    return address * 64 + length;
  }
  // A flat one-byte string, which a Map hashes once.
  return (
    String.fromCharCode.apply(null, records.subarray(at + 4, at + 20) as unknown as number[]) +
    String.fromCharCode(length)
  );
}

/** The inverse of `prefixKey` over a whole set, as records of operation "add". */
function packPrefixes(keys: Set<PrefixKey>): Uint8Array {
  const records = new Uint8Array(keys.size * ALLOWED_IP_RECORD);
  let at = 0;
  for (const key of keys) {
    if (typeof key === 'number') {
      records[at + 1] = 4;
      records[at + 2] = key % 64;
      const address = Math.floor(key / 64);
      records[at + 4] = address / 0x1000000;
      records[at + 5] = address >>> 16;
      records[at + 6] = address >>> 8;
      records[at + 7] = address;
    } else {
      records[at + 1] = 6;
      records[at + 2] = key.charCodeAt(16);
      for (let i = 0; i < 16; i++) records[at + 4 + i] = key.charCodeAt(i);
    }
    at += ALLOWED_IP_RECORD;
  }
  return records;
}
