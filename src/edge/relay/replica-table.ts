/**
 * The replicas of the registry as the relay needs them: peers of the edge's own WireGuard device on one
 * side, admitted to the relay core on the other; a peer's number leads to its relay id.
 */
import type { RelayCore } from '../../control/relay/relay-core.ts';
import { keyToHex } from '../../keys.ts';
import type { Instant } from '../../time.ts';
import { ENDPOINT_RECORD_WORDS, type EndpointTable } from '../../vector.ts';
import type { PeerChange } from '../../wireguard/configuration.ts';
import type { Device } from '../../wireguard/device.ts';
import type { RelayReplica, RelayReplicaChange } from './relay.ts';

interface Entry {
  readonly key: Uint8Array;
  readonly keyHex: string;
  readonly vnet: string;
}

interface Vnet {
  readonly number: number;
  replicas: number;
}

export class ReplicaTable {
  readonly #device: Device;
  readonly #endpoints: EndpointTable;
  readonly #core: RelayCore;
  readonly #entries = new Map<number, Entry>();
  readonly #byKey = new Map<string, number>();
  readonly #vnets = new Map<string, Vnet>();
  #nextVnet = 1;
  /** Relay id by number of the peer; 0 = none. */
  #relayIds = new Int32Array(64);

  /** @param endpoints the device's */
  constructor(device: Device, endpoints: EndpointTable, core: RelayCore) {
    this.#device = device;
    this.#endpoints = endpoints;
    this.#core = core;
  }

  /** Relay id of a peer of the device, or 0. */
  relayIdOf(peer: number): number {
    return this.#relayIds[peer] ?? 0;
  }

  /** Number of a replica's peer, or -1. */
  peerOf(relayId: number): number {
    const entry = this.#entries.get(relayId);
    return entry === undefined ? -1 : this.#device.peerNumber(entry.keyHex);
  }

  /** Initiates a handshake with a replica at the address of record `record`; false if there is none. */
  shakeHands(relayId: number, words: Int32Array, record: number, now: Instant): boolean {
    const publicKey = this.#entries.get(relayId)?.key;
    const peer = this.peerOf(relayId);
    if (publicKey === undefined || peer < 0) return false;
    const from = record * ENDPOINT_RECORD_WORDS;
    const to = peer * ENDPOINT_RECORD_WORDS;
    this.#endpoints.words.set(words.subarray(from, from + ENDPOINT_RECORD_WORDS), to);
    this.#device.configure({ peers: [{ publicKey, rehandshake: true }] }, now);
    return true;
  }

  /** Applies changes in order; returns the relay ids that are unbound by them. */
  apply(changes: readonly RelayReplicaChange[], now: Instant): number[] {
    const unbound: number[] = [];
    const peers: PeerChange[] = [];
    const changed: number[] = [];
    const forget = (relayId: number): void => {
      if (this.#core.isBound(relayId)) unbound.push(relayId);
      const key = this.#remove(relayId);
      if (key !== undefined) peers.push({ publicKey: key, remove: true });
    };
    for (const change of changes) {
      if (change.remove) {
        forget(change.relayId);
        continue;
      }
      const { relayId, publicKey, vnet } = change;
      const keyHex = keyToHex(publicKey);
      const known = this.#entries.get(relayId);
      if (known?.keyHex === keyHex && known.vnet === vnet) continue;
      forget(relayId);
      // One key is one replica: who has it last.
      const holder = this.#byKey.get(keyHex);
      if (holder !== undefined) forget(holder);
      if (!this.#add(change, keyHex)) continue;
      peers.push({ publicKey });
      changed.push(relayId);
    }
    this.#device.configure({ peers }, now);
    for (const relayId of changed) {
      const peer = this.peerOf(relayId);
      if (peer >= 0) this.#setRelayId(peer, relayId);
    }
    return unbound;
  }

  #add({ relayId, publicKey, vnet }: RelayReplica, keyHex: string): boolean {
    let network = this.#vnets.get(vnet);
    if (network === undefined) {
      network = { number: this.#nextVnet++, replicas: 0 };
      this.#vnets.set(vnet, network);
    }
    if (!this.#core.admit(relayId, network.number)) {
      this.#release(vnet, network);
      return false;
    }
    network.replicas++;
    this.#entries.set(relayId, { key: publicKey, keyHex, vnet });
    this.#byKey.set(keyHex, relayId);
    return true;
  }

  /** Returns the key of the replica, if there was one. */
  #remove(relayId: number): Uint8Array | undefined {
    const entry = this.#entries.get(relayId);
    if (entry === undefined) return undefined;
    const peer = this.peerOf(relayId);
    if (peer >= 0) this.#setRelayId(peer, 0);
    this.#entries.delete(relayId);
    this.#byKey.delete(entry.keyHex);
    this.#core.expel(relayId);
    const network = this.#vnets.get(entry.vnet);
    if (network !== undefined) {
      network.replicas--;
      this.#release(entry.vnet, network);
    }
    return entry.key;
  }

  #release(vnet: string, network: Vnet): void {
    if (network.replicas === 0) this.#vnets.delete(vnet);
  }

  #setRelayId(peer: number, relayId: number): void {
    if (peer >= this.#relayIds.length) {
      const grown = new Int32Array(Math.max(peer + 1, this.#relayIds.length * 2));
      grown.set(this.#relayIds);
      this.#relayIds = grown;
    }
    this.#relayIds[peer] = relayId;
  }
}
