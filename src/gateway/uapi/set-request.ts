/**
 * The lines of a `set=1` request, collected into one `DeviceChange` (cross-platform userspace
 * interface, "Configuration Protocol"). Keys, their order and their refusals are wireguard-go's,
 * with two differences: nothing is applied before the last line was read and found good, and a
 * request that ends without its empty line is not applied at all.
 */
import { keyFromHex } from '../../keys.ts';
import { parsePrefix } from '../../routing/prefix.ts';
import type { DeviceChange, PeerChange } from '../../wireguard/configuration.ts';
import { AllowedIpRecords } from '../allowed-ip-records.ts';
import { type InterfaceIndexOf, parseEndpoint } from '../endpoint-text.ts';
import { TunnelError } from '../tunnel.ts';
import { MAX_ALLOWED_IPS, MAX_PEERS } from '../tunnel-configuration.ts';

/** A `PeerChange` or `DeviceChange` while it is put together. */
type Draft<T> = { -readonly [K in keyof T]: T[K] };

export class SetRequest {
  readonly #interfaceIndexOf: InterfaceIndexOf;
  readonly #peers: PeerChange[] = [];
  readonly #device: Draft<DeviceChange> = { peers: this.#peers };
  #peer: Draft<PeerChange> | undefined;
  #allowedIps = new AllowedIpRecords();
  #records = 0;

  constructor(interfaceIndexOf: InterfaceIndexOf) {
    this.#interfaceIndexOf = interfaceIndexOf;
  }

  /**
   * Takes one line, without its newline; not the empty one.
   *
   * @throws TunnelError EPROTO if it is no `key=value`, EINVAL for an unknown key or a wrong value,
   *   ENOSPC for more than any device takes
   */
  handleLine(line: string): void {
    const equals = line.indexOf('=');
    if (equals < 0) throw new TunnelError('EPROTO', 'a line is not of the form key=value');
    const key = line.slice(0, equals);
    const value = line.slice(equals + 1);
    if (key === 'public_key') this.#startPeer(value);
    else if (this.#peer === undefined) this.#setDevice(key, value);
    else this.#setPeer(this.#peer, key, value);
  }

  /** The whole change, after the last line. */
  finish(): DeviceChange {
    this.#finishPeer();
    return this.#device;
  }

  #setDevice(key: string, value: string): void {
    switch (key) {
      case 'private_key':
        this.#device.privateKey = parseKey(value, key);
        return;
      case 'listen_port':
        this.#device.listenPort = parseNumber(value, 0xffff, key);
        return;
      case 'fwmark':
        this.#device.fwmark = parseNumber(value, 0xffffffff, key);
        return;
      case 'replace_peers':
        requireTrue(value, key);
        this.#device.replacePeers = true;
        return;
      default:
        throw new TunnelError('EINVAL', `unknown device key ${quote(key)}`);
    }
  }

  #startPeer(value: string): void {
    this.#finishPeer();
    if (this.#peers.length >= MAX_PEERS) {
      throw new TunnelError('ENOSPC', `more than ${MAX_PEERS} peers in one request`);
    }
    this.#peer = { publicKey: parseKey(value, 'public_key') };
  }

  #finishPeer(): void {
    if (this.#peer === undefined) return;
    if (this.#allowedIps.count > 0) {
      this.#peer.allowedIps = this.#allowedIps.bytes();
      // A large array is not kept for the peers that follow.
      this.#allowedIps = new AllowedIpRecords();
    }
    this.#peers.push(this.#peer);
    this.#peer = undefined;
  }

  #setPeer(peer: Draft<PeerChange>, key: string, value: string): void {
    switch (key) {
      case 'update_only':
        requireTrue(value, key);
        peer.updateOnly = true;
        return;
      case 'remove':
        requireTrue(value, key);
        peer.remove = true;
        return;
      case 'preshared_key':
        peer.presharedKey = parseKey(value, key);
        return;
      case 'endpoint': {
        const endpoint = parseEndpoint(value, this.#interfaceIndexOf);
        if (!endpoint) throw new TunnelError('EINVAL', `endpoint ${quote(value)} is malformed`);
        peer.endpoint = endpoint;
        return;
      }
      case 'persistent_keepalive_interval':
        peer.persistentKeepalive = parseNumber(value, 0xffff, key);
        return;
      case 'replace_allowed_ips':
        requireTrue(value, key);
        peer.replaceAllowedIps = true;
        this.#allowedIps.clear();
        return;
      case 'allowed_ip':
        this.#addAllowedIp(value);
        return;
      case 'protocol_version':
        if (value !== '1') throw new TunnelError('EINVAL', 'protocol_version is not 1');
        return;
      default:
        throw new TunnelError('EINVAL', `unknown peer key ${quote(key)}`);
    }
  }

  #addAllowedIp(value: string): void {
    const removes = value.startsWith('-');
    const prefix = value.includes('/') ? parsePrefix(removes ? value.slice(1) : value) : undefined;
    if (!prefix) throw new TunnelError('EINVAL', `allowed_ip ${quote(value)} is malformed`);
    if (++this.#records > MAX_ALLOWED_IPS) {
      throw new TunnelError('ENOSPC', `more than ${MAX_ALLOWED_IPS} allowed IPs in one request`);
    }
    if (removes) this.#allowedIps.remove(prefix);
    else this.#allowedIps.add(prefix);
  }
}

function parseKey(value: string, name: string): Uint8Array {
  const key = keyFromHex(value);
  // The value is never repeated: it may be a secret with one digit missing.
  if (!key) throw new TunnelError('EINVAL', `${name} is not 64 hexadecimal digits`);
  return key;
}

function parseNumber(value: string, max: number, name: string): number {
  const number = /^[0-9]{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  throw new TunnelError('EINVAL', `${name} is no number from 0 to ${max}`);
}

function requireTrue(value: string, name: string): void {
  if (value !== 'true') throw new TunnelError('EINVAL', `${name} takes no value but true`);
}

/** For messages: shortened, so that a log line stays one. */
function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
