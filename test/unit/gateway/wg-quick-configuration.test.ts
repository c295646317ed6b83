import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../../src/errors.ts';
import { configurationPath, interfaceOf } from '../../../src/gateway/configuration-file.ts';
import { encodeWgQuickConfiguration } from '../../../src/gateway/save-configuration.ts';
import {
  parseWgQuickConfiguration,
  type WgQuickConfiguration,
} from '../../../src/gateway/wg-quick-configuration.ts';
import { keyToBase64, presharedKey, privateKey, publicKey } from '../../../src/keys.ts';
import { formatPrefix } from '../../../src/routing/prefix.ts';

const KEY = keyToBase64(new Uint8Array(32).fill(7));
const parse = (text: string): WgQuickConfiguration => parseWgQuickConfiguration(text, 'wg0.conf');

function errorOf(text: string): CausewayError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof CausewayError) return error;
  }
  throw new Error('no error');
}

describe('the wg-quick file format', () => {
  test('every key, in any case, with comments, blanks and CRLF', () => {
    const text = [
      '\uFEFF# a gateway',
      '[INTERFACE]  # ours',
      `privatekey=${KEY}`,
      '  ListenPort =  51820  # the usual',
      'FwMark = 0xca6c',
      'Address = 10.0.0.1/24, fd00::1/64',
      'address = 192.168.1.7',
      'DNS = 1.1.1.1, 2606:4700::1111, corp.example',
      'MTU = 1380',
      'Table = 1234',
      'PreUp = echo "#1"; true',
      'PostUp = iptables -A FORWARD -i %i -j ACCEPT # stays',
      'PostUp = second',
      'PreDown = a',
      'PostDown = b = c',
      'SaveConfig = TRUE',
      '',
      '[peer]',
      `PublicKey = ${KEY}`,
      `PresharedKey = ${KEY}`,
      'AllowedIPs = 10.1.2.3/8 , ::/0',
      'AllowedIPs =',
      'AllowedIPs = 192.0.2.1',
      'Endpoint = [2001:db8::1]:51820',
      'PersistentKeepalive = 25',
      '[Peer]',
      `PublicKey = ${KEY}`,
      'Endpoint = vpn.example.org:1',
      'PersistentKeepalive = off',
    ].join('\r\n');
    const { peers, privateKey: key, addresses, ...rest } = parse(text);
    expect(key && keyToBase64(key)).toBe(KEY);
    expect(addresses.map(formatPrefix)).toEqual(['10.0.0.1/24', 'fd00::1/64', '192.168.1.7/32']);
    expect(rest).toEqual({
      listenPort: 51_820,
      fwmark: 0xca6c,
      dnsServers: ['1.1.1.1', '2606:4700::1111'],
      dnsSearch: ['corp.example'],
      mtu: 1380,
      table: '1234',
      preUp: ['echo "#1"; true'],
      postUp: ['iptables -A FORWARD -i %i -j ACCEPT # stays', 'second'],
      preDown: ['a'],
      postDown: ['b = c'],
      saveConfig: true,
    });
    expect(peers[0]?.allowedIps.map(formatPrefix)).toEqual(['10.0.0.0/8', '::/0', '192.0.2.1/32']);
    expect(peers[0]).toMatchObject({
      endpoint: { host: '2001:db8::1', port: 51_820 },
      persistentKeepalive: 25,
      line: 18,
    });
    expect(peers[1]).toMatchObject({
      endpoint: { host: 'vpn.example.org', port: 1 },
      persistentKeepalive: 0,
    });
  });

  test('the smallest file', () => {
    expect(parse('[Interface]')).toMatchObject({ table: 'auto', peers: [], privateKey: undefined });
  });

  test.each([
    ['CONFIG_MISSING', 1, ''],
    ['CONFIG_MISSING', 1, '# nothing'],
    ['CONFIG_MISSING', 2, '[Interface]\n[Peer]\nAllowedIPs = ::/0'],
    ['CONFIG_MISSING', 2, `[Interface]\n[Peer]\n[Peer]\nPublicKey = ${KEY}`],
    ['CONFIG_SYNTAX', 1, 'PrivateKey = x'],
    ['CONFIG_SYNTAX', 1, '[Network]'],
    ['CONFIG_SYNTAX', 2, '[Interface]\nPrivateKey'],
    ['CONFIG_SYNTAX', 2, '[Interface]\nPublicKey = x'],
    ['CONFIG_SYNTAX', 2, '[Interface]\n__proto__ = x'],
    ['CONFIG_SYNTAX', 3, '[Interface]\n[Peer]\nPostUp = x'],
    ['CONFIG_VALUE', 2, '[Interface]\nPrivateKey = AAAA'],
    ['CONFIG_VALUE', 2, '[Interface]\nPrivateKey ='],
    ['CONFIG_VALUE', 2, '[Interface]\nListenPort = 65536'],
    ['CONFIG_VALUE', 2, '[Interface]\nFwMark = yes'],
    ['CONFIG_VALUE', 2, '[Interface]\nAddress = 10.0.0.1/33'],
    ['CONFIG_VALUE', 2, '[Interface]\nAddress = host'],
    ['CONFIG_VALUE', 2, '[Interface]\nMTU = 100'],
    ['CONFIG_VALUE', 2, '[Interface]\nTable = 0'],
    ['CONFIG_VALUE', 2, '[Interface]\nTable = 1; reboot'],
    ['CONFIG_VALUE', 2, '[Interface]\nSaveConfig = yes'],
    ['CONFIG_VALUE', 3, '[Interface]\n[Peer]\nEndpoint = 1.2.3.4'],
    ['CONFIG_VALUE', 3, '[Interface]\n[Peer]\nEndpoint = ::1:5'],
    ['CONFIG_VALUE', 3, '[Interface]\n[Peer]\nAllowedIPs = 10.0.0.0/8, nonsense'],
    ['CONFIG_VALUE', 3, '[Interface]\n[Peer]\nPersistentKeepalive = 65536'],
  ])('%s at line %d: %j', (code, line, text) => {
    const error = errorOf(text);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(new RegExp(`^wg0\\.conf:${line}: .+\\.$`));
  });

  test('an error never repeats a key, and stays short', () => {
    const error = errorOf(`[Interface]\nPrivateKey = ${KEY}x`);
    expect(error.message).not.toContain(KEY.slice(0, 8));
    expect(errorOf(`[Interface]\nAddress = ${'x'.repeat(9_999)}`).message.length).toBeLessThan(200);
  });
});

describe('files', () => {
  test('a name is a file below /etc/wireguard, anything else is a path', () => {
    expect(configurationPath('wg0')).toBe('/etc/wireguard/wg0.conf');
    expect(configurationPath('wg0.conf')).toBe('wg0.conf');
    expect(configurationPath('./wg0')).toBe('./wg0');
    expect(interfaceOf('site-a.1')).toBe('site-a.1');
    expect(interfaceOf('/tmp/x/wg1.conf')).toBe('wg1');
    expect(() => interfaceOf('/tmp/x/wg1.cfg')).toThrow(/does not end in/);
    expect(() => interfaceOf('/tmp/longer-than-15-bytes.conf')).toThrow(/no interface name/);
    expect(() => interfaceOf('/tmp/.conf')).toThrow(CausewayError);
  });
});

describe('SaveConfig', () => {
  test('what is written reads back the same', () => {
    const before = parse(
      `[Interface]\nPrivateKey = ${KEY}\nDNS = 1.1.1.1\nMTU = 1400\nTable = off\nPostUp = x # %i\nSaveConfig = true\nAddress = 10.0.0.1/24\n`,
    );
    const text = encodeWgQuickConfiguration(
      before,
      before.addresses,
      {
        interfaceName: 'wg0',
        privateKey: privateKey(new Uint8Array(32).fill(8)),
        publicKey: undefined,
        listenPort: 4711,
        fwmark: 52_000,
        crypto: 'noble',
        offloads: [],
        drops: [],
        peers: [
          {
            publicKey: publicKey(new Uint8Array(32).fill(9)),
            presharedKey: presharedKey(new Uint8Array(32).fill(1)),
            endpoint: { family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 7, scope: 0 },
            persistentKeepalive: 25,
            lastHandshake: 0,
            rxBytes: 0,
            txBytes: 0,
            allowedIps: Uint8Array.of(0, 4, 8, 0, 10, ...new Array(15).fill(0)),
          },
        ],
      },
      52_000,
    );
    const after = parse(text);
    expect({ ...after, peers: [], privateKey: undefined }).toEqual({
      ...before,
      listenPort: 4711,
      peers: [],
      privateKey: undefined,
    });
    expect(after.privateKey?.[0]).toBe(8);
    expect(after.peers[0]).toMatchObject({
      endpoint: { host: '192.0.2.1', port: 7 },
      persistentKeepalive: 25,
    });
    expect(after.peers[0]?.allowedIps.map(formatPrefix)).toEqual(['10.0.0.0/8']);
  });
});
