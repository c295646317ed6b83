/** Applies a `DeviceChange` to a device, as a whole or not at all. */
import { equalBytes, isZero, wipe } from '../bytes.ts';
import { CausewayError } from '../errors.ts';
import { KEY_SIZE, keyToHex, publicKey } from '../keys.ts';
import { AllowedIps } from '../routing/allowed-ips.ts';
import { ENDPOINT_RECORD_WORDS } from '../vector.ts';
import {
  ALLOWED_IP_RECORD,
  type DeviceChange,
  type PeerChange,
  type PeerEndpoint,
  type RelayEndpoint,
} from './configuration.ts';
import type { DeviceState } from './device-state.ts';
import { isEndpoint, sameRemote, writeEndpoint } from './endpoint-record.ts';
import { Peer } from './peer.ts';
import { MAX_RELAYS } from './relayed-sources.ts';
import type { Sessions } from './sessions.ts';
import { PERSISTENT_KEEPALIVE, RETRANSMIT_HANDSHAKE } from './timers.ts';

/** Persistent keepalive is 16 bits of seconds. */
const MAX_KEEPALIVE = 65_535;

export class DeviceConfiguration {
  readonly #state: DeviceState;
  readonly #sessions: Sessions;
  constructor(state: DeviceState, sessions: Sessions) {
    this.#state = state;
    this.#sessions = sessions;
  }

  /** @throws CausewayError CONFIG_VALUE, with nothing changed */
  apply(change: DeviceChange, now: number): void {
    this.#check(change);
    if (change.privateKey !== undefined) this.#setPrivateKey(change.privateKey);
    if (change.relays !== undefined) this.#setRelays(change.relays);
    if (change.destinations !== undefined) this.#changeDestinations(change.destinations);
    if (change.replacePeers) {
      for (const peer of [...this.#state.byKey.values()]) this.#remove(peer);
    }
    for (const peerChange of change.peers) this.#applyPeer(peerChange, now);
  }

  #check(change: DeviceChange): void {
    if (change.privateKey !== undefined && change.privateKey.length !== KEY_SIZE) {
      throw invalid('the private key is not 32 bytes long');
    }
    checkRelays(change.relays);
    if (change.destinations !== undefined) checkRecords(change.destinations);
    const { byKey } = this.#state;
    /** What the change so far has made of a peer: there or not. */
    const changed = new Map<string, boolean>();
    let count = change.replacePeers ? 0 : byKey.size;
    let most = count;
    for (const peer of change.peers) {
      checkPeer(peer);
      const key = keyToHex(peer.publicKey);
      const exists = changed.get(key) ?? (!change.replacePeers && byKey.has(key));
      const willExist = !peer.remove && (exists || !peer.updateOnly);
      count += Number(willExist) - Number(exists);
      most = Math.max(most, count);
      changed.set(key, willExist);
    }
    if (most > this.#state.maxPeers) {
      throw invalid(`more than ${this.#state.maxPeers} peers; raise the limit or remove some`);
    }
  }

  #setPrivateKey(privateKey: Uint8Array): void {
    const state = this.#state;
    const { identity } = state;
    if (identity !== undefined && equalBytes(identity.privateKey, privateKey)) return;
    state.setIdentity(isZero(privateKey) ? undefined : privateKey);
    if (state.identity !== undefined) {
      // A peer with our own key is ourselves.
      const self = state.byKey.get(keyToHex(state.identity.publicKey));
      if (self !== undefined) this.#remove(self);
    }
    for (const peer of state.byKey.values()) {
      peer.forgetStaticStatic();
      this.#sessions.expireSessions(peer);
    }
  }

  #setRelays(relays: readonly RelayEndpoint[]): void {
    const { relayedSources, byKey } = this.#state;
    relayedSources.setRelays(relays, (key) => byKey.get(key)?.number ?? -1);
  }

  #applyPeer(change: PeerChange, now: number): void {
    const state = this.#state;
    const known = state.byKey.get(keyToHex(change.publicKey));
    if (change.remove) {
      if (known !== undefined) this.#remove(known);
      return;
    }
    if (known === undefined && change.updateOnly) return;
    const { identity } = state;
    if (identity !== undefined && equalBytes(identity.publicKey, change.publicKey)) return;
    const peer = known ?? this.#create(change.publicKey);
    if (change.presharedKey !== undefined) peer.presharedKey.set(change.presharedKey);
    if (change.pathFrames !== undefined) {
      this.#sessions.paths.setFrames(peer, change.pathFrames, now);
    }
    if (change.endpoint !== undefined) this.#setEndpoint(peer, change.endpoint, now);
    if (change.replaceAllowedIps) state.allowedIps.removeValue(peer.number);
    if (change.allowedIps !== undefined) {
      applyRecords(state.allowedIps, change.allowedIps, peer.number);
    }
    if (change.persistentKeepalive !== undefined) {
      const wasOff = peer.persistentKeepalive === 0;
      peer.persistentKeepalive = change.persistentKeepalive * 1_000;
      if (peer.persistentKeepalive === 0) state.timers.disarm(peer.number, PERSISTENT_KEEPALIVE);
      else if (wasOff) this.#sessions.sendKeepalive(peer, now);
    }
    if (change.rehandshake) {
      peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
      this.#sessions.initiate(peer, now, false);
    }
    if (state.isUp) this.#sessions.sendStaged(peer, now);
  }

  #create(key: Uint8Array): Peer {
    const state = this.#state;
    const number = state.numbers.take();
    state.timers.reserve(number + 1);
    const peer = new Peer(number, publicKey(key), state.stagingBudget, state.primitives);
    state.peers[number] = peer;
    state.unprepared(number);
    const hex = keyToHex(key);
    state.byKey.set(hex, peer);
    state.relayedSources.setPeer(hex, number);
    state.statistics.clear(number);
    return peer;
  }

  #remove(peer: Peer): void {
    const state = this.#state;
    const { number } = peer;
    state.allowedIps.removeValue(number);
    state.timers.disarmAll(number);
    this.#sessions.wipeSessions(peer);
    this.#sessions.paths.clear(peer);
    peer.forgetStaticStatic();
    peer.cookies.clear();
    wipe(peer.presharedKey);
    if (peer.queued) state.forgetReady(peer);
    state.peers[number] = undefined;
    const hex = keyToHex(peer.publicKey);
    state.byKey.delete(hex);
    state.relayedSources.setPeer(hex, -1);
    const at = number * ENDPOINT_RECORD_WORDS;
    state.endpoints.words.fill(0, at, at + ENDPOINT_RECORD_WORDS);
    state.statistics.clear(number);
    state.numbers.give(number);
  }

  #setEndpoint(peer: Peer, endpoint: PeerEndpoint, now: number): void {
    const state = this.#state;
    const before = state.endpointOf(peer.number);
    writeEndpoint(state.endpoints, peer.number, endpoint);
    state.statistics.setEndpoint(peer.number, state.endpoints.words, peer.number);
    if (!sameRemote(before, 0, state.endpoints.words, peer.number)) {
      this.#sessions.paths.moved(peer, now);
    }
    // A handshake that was sent into the void need not be waited for.
    if (state.timers.isArmed(peer.number, RETRANSMIT_HANDSHAKE) && peer.current === undefined) {
      peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
    }
  }

  #changeDestinations(records: Uint8Array): void {
    this.#state.destinations ??= new AllowedIps();
    applyRecords(this.#state.destinations, records, 0);
  }
}

/** A prefix is taken away from `value` only. */
function applyRecords(table: AllowedIps, records: Uint8Array, value: number): void {
  for (let at = 0; at < records.length; at += ALLOWED_IP_RECORD) {
    const family = records[at + 1] === 4 ? 4 : 6;
    const length = records[at + 2]!;
    if (records[at] === 0) {
      table.insertBytes(family, records, at + 4, length, value);
    } else if (table.getBytes(family, records, at + 4, length) === value) {
      table.removeBytes(family, records, at + 4, length);
    }
  }
}

function checkPeer(change: PeerChange): void {
  const { publicKey: key, presharedKey, endpoint, persistentKeepalive, allowedIps } = change;
  if (key.length !== KEY_SIZE) throw invalid('a public key is not 32 bytes long');
  if (presharedKey !== undefined && presharedKey.length !== KEY_SIZE) {
    throw invalid('a preshared key is not 32 bytes long');
  }
  if (endpoint !== undefined && !isEndpoint(endpoint)) {
    throw invalid('an endpoint is no address and port');
  }
  if (persistentKeepalive !== undefined && !isUpTo(persistentKeepalive, MAX_KEEPALIVE)) {
    throw invalid(`persistent keepalive is 0 to ${MAX_KEEPALIVE} seconds`);
  }
  if (allowedIps !== undefined) checkRecords(allowedIps);
}

function checkRelays(relays: readonly RelayEndpoint[] = []): void {
  if (relays.length > MAX_RELAYS) throw invalid(`more than ${MAX_RELAYS} addresses of relays`);
  if (!relays.every(isRelay)) throw invalid('a relay is no address and port with a public key');
}

function isRelay(relay: RelayEndpoint): boolean {
  return isEndpoint(relay) && relay.publicKey.length === KEY_SIZE;
}

function checkRecords(records: Uint8Array): void {
  if (records.length % ALLOWED_IP_RECORD !== 0) throw invalid('a list of prefixes is cut off');
  for (let at = 0; at < records.length; at += ALLOWED_IP_RECORD) {
    const family = records[at + 1];
    const longest = family === 4 ? 32 : 128;
    if (records[at]! > 1 || (family !== 4 && family !== 6) || records[at + 2]! > longest) {
      throw invalid('a list of prefixes has what is none');
    }
  }
}

function isUpTo(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

function invalid(message: string): CausewayError {
  return new CausewayError('CONFIG_VALUE', message);
}
