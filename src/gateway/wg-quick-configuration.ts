/**
 * The file format of wg-quick(8), which is that of wg(8) with more keys in [Interface]. Text in,
 * plain values out; host names stay names. Errors name file and line, and never repeat a key.
 */
import { CausewayError, type ErrorCode } from '../errors.ts';
import {
  keyFromBase64,
  type PresharedKey,
  type PrivateKey,
  type PublicKey,
  presharedKey,
  privateKey,
  publicKey,
} from '../keys.ts';
import {
  type InterfaceAddress,
  type Prefix,
  parseInterfaceAddress,
  parsePrefix,
} from '../routing/prefix.ts';
import { type HostAndPort, splitHostAndPort } from './endpoint-text.ts';

export interface WgQuickPeer {
  publicKey: PublicKey;
  presharedKey: PresharedKey | undefined;
  readonly allowedIps: Prefix[];
  endpoint: HostAndPort | undefined;
  /** Seconds, 0 = off; undefined = not said. */
  persistentKeepalive: number | undefined;
  /** Line of its [Peer]. */
  readonly line: number;
}

export interface WgQuickConfiguration {
  privateKey: PrivateKey | undefined;
  listenPort: number | undefined;
  /** 0 = off; undefined = not said. */
  fwmark: number | undefined;
  readonly addresses: InterfaceAddress[];
  readonly dnsServers: string[];
  readonly dnsSearch: string[];
  mtu: number | undefined;
  /** `auto`, `off`, or a table's number or name. */
  table: string;
  /** For bash, with `%i` still in them. */
  readonly preUp: string[];
  readonly postUp: string[];
  readonly preDown: string[];
  readonly postDown: string[];
  saveConfig: boolean;
  readonly peers: WgQuickPeer[];
}

/** Makes the error for the line at hand. */
type Fault = (code: ErrorCode, message: string) => CausewayError;
type Setter<T> = (target: T, value: string, fault: Fault) => void;

/** Shorter is no IPv4 packet, longer no IP packet. */
const MIN_MTU = 576;
const MAX_MTU = 65_535;

const HOOKS = {
  preup: 'preUp',
  postup: 'postUp',
  predown: 'preDown',
  postdown: 'postDown',
} as const;

const INTERFACE_KEYS: Readonly<Record<string, Setter<WgQuickConfiguration>>> = {
  privatekey: (target, value, fault) => {
    target.privateKey = privateKey(parseKey('PrivateKey', value, fault));
  },
  listenport: (target, value, fault) => {
    target.listenPort = parseNumber('ListenPort', value, 0, 65_535, fault);
  },
  fwmark: (target, value, fault) => {
    target.fwmark = parseMark(value, fault);
  },
  address: (target, value, fault) => {
    for (const item of items(value)) {
      const address = parseInterfaceAddress(item);
      if (!address)
        throw fault('CONFIG_VALUE', `Address ${quote(item)} is no IP address with prefix length.`);
      target.addresses.push(address);
    }
  },
  dns: (target, value) => {
    for (const item of items(value)) {
      const server = /^[0-9.]+$/.test(item) || item.includes(':');
      (server ? target.dnsServers : target.dnsSearch).push(item);
    }
  },
  mtu: (target, value, fault) => {
    target.mtu = parseNumber('MTU', value, MIN_MTU, MAX_MTU, fault);
  },
  table: (target, value, fault) => {
    const table = value.toLowerCase();
    if (/^[a-z_][\w-]*$/.test(table) || isTableNumber(table)) target.table = table;
    else
      throw fault(
        'CONFIG_VALUE',
        'Table is neither "auto", "off" nor the number or name of a table.',
      );
  },
  saveconfig: (target, value, fault) => {
    if (!/^(true|false)$/i.test(value))
      throw fault('CONFIG_VALUE', 'SaveConfig is neither true nor false.');
    target.saveConfig = value.toLowerCase() === 'true';
  },
};

const PEER_KEYS: Readonly<Record<string, Setter<WgQuickPeer>>> = {
  publickey: (target, value, fault) => {
    target.publicKey = publicKey(parseKey('PublicKey', value, fault));
  },
  presharedkey: (target, value, fault) => {
    target.presharedKey = presharedKey(parseKey('PresharedKey', value, fault));
  },
  allowedips: (target, value, fault) => {
    for (const item of items(value)) {
      const prefix = parsePrefix(item);
      if (!prefix)
        throw fault('CONFIG_VALUE', `AllowedIPs: ${quote(item)} is no IP address or prefix.`);
      target.allowedIps.push(prefix);
    }
  },
  endpoint: (target, value, fault) => {
    const endpoint = splitHostAndPort(value);
    if (!endpoint) {
      throw fault(
        'CONFIG_VALUE',
        `Endpoint ${quote(value)} is not HOST:PORT (an IPv6 address in brackets).`,
      );
    }
    target.endpoint = endpoint;
  },
  persistentkeepalive: (target, value, fault) => {
    const off = value.toLowerCase() === 'off';
    target.persistentKeepalive = off
      ? 0
      : parseNumber('PersistentKeepalive', value, 0, 65_535, fault);
  },
};

/**
 * Reads a whole file.
 *
 * @param file its name, for errors
 * @throws CausewayError CONFIG_SYNTAX, CONFIG_VALUE or CONFIG_MISSING
 */
export function parseWgQuickConfiguration(text: string, file: string): WgQuickConfiguration {
  const result = emptyConfiguration();
  let section: 'none' | 'interface' | 'peer' = 'none';
  let seenInterface = false;
  let peer: WgQuickPeer | undefined;
  let number = 0;
  const faultAt = (line: number): Fault => {
    return (code, message) => new CausewayError(code, `${file}:${line}: ${message}`);
  };
  const finishPeer = (): void => {
    if (peer !== undefined && peer.publicKey.length === 0) {
      throw faultAt(peer.line)('CONFIG_MISSING', 'This [Peer] has no PublicKey.');
    }
  };
  for (const raw of text.replace(/^\uFEFF/, '').split('\n')) {
    const fault = faultAt(++number);
    const line = withoutComment(raw);
    if (line === '') continue;
    if (line.startsWith('[')) {
      finishPeer();
      section = sectionOf(line, fault);
      peer = undefined;
      if (section === 'interface') seenInterface = true;
      else {
        peer = emptyPeer(number);
        result.peers.push(peer);
      }
      continue;
    }
    const equals = line.indexOf('=');
    if (equals < 0)
      throw fault('CONFIG_SYNTAX', 'This line is neither "Key = Value" nor a [Section].');
    const key = line.slice(0, equals).trim();
    const value = line.slice(equals + 1).trim();
    if (section === 'none') throw fault('CONFIG_SYNTAX', 'Keys come after [Interface] or [Peer].');
    if (section === 'interface') setInterfaceKey(result, key, value, raw, fault);
    else setPeerKey(peer!, key, value, fault);
  }
  finishPeer();
  if (!seenInterface) throw faultAt(1)('CONFIG_MISSING', 'There is no [Interface] section.');
  return result;
}

function setInterfaceKey(
  target: WgQuickConfiguration,
  key: string,
  value: string,
  raw: string,
  fault: Fault,
): void {
  const name = key.toLowerCase();
  if (Object.hasOwn(HOOKS, name)) {
    // A command may contain "#": what looks like a comment belongs to it.
    target[HOOKS[name as keyof typeof HOOKS]].push(raw.slice(raw.indexOf('=') + 1).trim());
    return;
  }
  const set = Object.hasOwn(INTERFACE_KEYS, name) ? INTERFACE_KEYS[name] : undefined;
  if (set === undefined) throw fault('CONFIG_SYNTAX', `[Interface] has no key ${quote(key)}.`);
  if (value === '' && !/^(address|dns)$/.test(name))
    throw fault('CONFIG_VALUE', `${key} has no value.`);
  set(target, value, fault);
}

function setPeerKey(target: WgQuickPeer, key: string, value: string, fault: Fault): void {
  const name = key.toLowerCase();
  const set = Object.hasOwn(PEER_KEYS, name) ? PEER_KEYS[name] : undefined;
  if (set === undefined) throw fault('CONFIG_SYNTAX', `[Peer] has no key ${quote(key)}.`);
  if (value === '' && name !== 'allowedips') throw fault('CONFIG_VALUE', `${key} has no value.`);
  set(target, value, fault);
}

function sectionOf(line: string, fault: Fault): 'interface' | 'peer' {
  const name = line.toLowerCase();
  if (name === '[interface]') return 'interface';
  if (name === '[peer]') return 'peer';
  throw fault('CONFIG_SYNTAX', `${quote(line)} is no section: there are [Interface] and [Peer].`);
}

function withoutComment(line: string): string {
  const hash = line.indexOf('#');
  return (hash < 0 ? line : line.slice(0, hash)).trim();
}

/** Separated by commas or white space. */
function items(value: string): string[] {
  return value.split(/[\s,]+/).filter((item) => item !== '');
}

function parseKey(name: string, value: string, fault: Fault): Uint8Array {
  const key = keyFromBase64(value);
  if (key !== undefined) return key;
  throw fault('CONFIG_VALUE', `${name} is no key: 44 characters of base64, as of \`wg genkey\`.`);
}

function parseNumber(name: string, value: string, min: number, max: number, fault: Fault): number {
  const number = /^[0-9]{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw fault('CONFIG_VALUE', `${name} is no number from ${min} to ${max}.`);
}

function parseMark(value: string, fault: Fault): number {
  if (value.toLowerCase() === 'off') return 0;
  const mark = /^(0x[0-9a-f]{1,8}|[0-9]{1,10})$/i.test(value) ? Number(value) : Number.NaN;
  if (mark <= 0xffffffff) return mark;
  throw fault('CONFIG_VALUE', 'FwMark is neither "off" nor a number of 32 bits (0x1234 or 4660).');
}

function isTableNumber(table: string): boolean {
  return /^[0-9]{1,10}$/.test(table) && Number(table) >= 1 && Number(table) <= 0xffffffff;
}

/** For messages: short, on one line. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

function emptyConfiguration(): WgQuickConfiguration {
  return {
    ...{ privateKey: undefined, listenPort: undefined, fwmark: undefined, mtu: undefined },
    ...{ addresses: [], dnsServers: [], dnsSearch: [], table: 'auto', saveConfig: false },
    ...{ preUp: [], postUp: [], preDown: [], postDown: [], peers: [] },
  };
}

function emptyPeer(line: number): WgQuickPeer {
  return {
    publicKey: new Uint8Array() as PublicKey,
    presharedKey: undefined,
    allowedIps: [],
    endpoint: undefined,
    persistentKeepalive: undefined,
    line,
  };
}
