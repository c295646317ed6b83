/**
 * Whatever an operator, a program or a killed daemon hands the control side: UAPI requests,
 * configuration files, netlink messages, endpoints. It is refused in the documented way, never by
 * another exception, and never by more memory than the input has.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors.ts';
import {
  formatEndpoint,
  parseEndpoint,
  splitHostAndPort,
} from '../../src/gateway/endpoint-text.ts';
import { TunnelConfiguration } from '../../src/gateway/tunnel-configuration.ts';
import { encodeSnapshot } from '../../src/gateway/uapi/get-response.ts';
import { RequestReader } from '../../src/gateway/uapi/request-reader.ts';
import { parseWgQuickConfiguration } from '../../src/gateway/wg-quick-configuration.ts';
import { interfaceNameFault } from '../../src/tun/interface-name.ts';
import { decodeNetlink, encodeLinkRequest } from '../../src/tun/rtnetlink.ts';

const RUNS = { numRuns: 2_000 };
const noInterfaces = (): undefined => undefined;

const hexKey = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((key) => Buffer.from(key).toString('hex'));
const uapiKey = fc.constantFrom(
  ...['private_key', 'listen_port', 'fwmark', 'replace_peers', 'public_key', 'preshared_key'],
  ...['endpoint', 'persistent_keepalive_interval', 'replace_allowed_ips', 'allowed_ip', 'remove'],
  ...['update_only', 'protocol_version', 'get', 'set', ''],
);
const uapiValue = fc.oneof(
  hexKey,
  fc.constantFrom('true', 'false', '1', '0', '', '10.0.0.0/8', '::/0', '-10.0.0.0/8', '1.2.3.4:5'),
  fc.constantFrom('[::1]:5', '[fe80::1%9]:5', '65536', '4294967295'),
  fc.string(),
);
const uapiLine = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(uapiKey, uapiValue).map(([key, value]) => `${key}=${value}`) },
  { weight: 2, arbitrary: fc.constantFrom('get=1', 'set=1', '', '\n') },
  { weight: 1, arbitrary: fc.string() },
);

describe('UAPI', () => {
  test('any lines: each request is answered once, what is let through can be applied', () => {
    fc.assert(
      fc.property(
        fc.array(uapiLine, { maxLength: 40 }),
        fc.integer({ min: 1, max: 64 }),
        (lines, step) => {
          const configuration = new TunnelConfiguration((key) => key);
          const reader = new RequestReader(noInterfaces);
          const bytes = Buffer.from(`set=1\n${lines.join('\n')}\n\n`);
          for (let at = 0; at < bytes.length; at += step) {
            for (const request of reader.push(bytes.subarray(at, at + step))) {
              if (request.kind !== 'set') continue;
              configuration.check(request.change);
              configuration.apply(request.change);
            }
          }
          const figures = { listenPort: 1, drops: [], crypto: 'noble', offloads: [] } as const;
          const snapshot = configuration.snapshot('wg0', figures, noInterfaces);
          for (const piece of encodeSnapshot(snapshot))
            expect(piece).toMatch(/^([a-z_]+=[^\n]+\n)+$/);
        },
      ),
      RUNS,
    );
  });

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 6 }), (chunks) => {
        const reader = new RequestReader(noInterfaces);
        for (const chunk of chunks) reader.push(chunk);
      }),
      RUNS,
    );
  });

  test('what is set comes back from get, and set again changes nothing', () => {
    const peer = fc.record({ key: hexKey, keepalive: fc.integer({ min: 0, max: 65_535 }) });
    fc.assert(
      fc.property(fc.array(peer, { maxLength: 5 }), (peers) => {
        const lines = peers.map(
          ({ key, keepalive }) =>
            `public_key=${key}\npersistent_keepalive_interval=${keepalive}\nallowed_ip=10.0.0.0/8\n`,
        );
        const texts: string[] = [];
        let text = lines.join('');
        for (let round = 0; round < 2; round++) {
          const configuration = new TunnelConfiguration((key) => key);
          const reader = new RequestReader(noInterfaces);
          for (const request of reader.push(Buffer.from(`set=1\n${text}\n`))) {
            if (request.kind !== 'set') throw new Error(request.kind);
            configuration.apply(request.change);
          }
          const figures = { listenPort: 0, drops: [], crypto: 'noble', offloads: [] } as const;
          text = [...encodeSnapshot(configuration.snapshot('wg0', figures, noInterfaces))].join('');
          text = text.replaceAll(/^(last_handshake|[rt]x_bytes).*\n/gm, '');
          texts.push(text);
        }
        expect(texts[1]).toBe(texts[0]);
      }),
    );
  });
});

describe('configuration files', () => {
  const key = fc.constantFrom(
    ...[
      'PrivateKey',
      'ListenPort',
      'FwMark',
      'Address',
      'DNS',
      'MTU',
      'Table',
      'PostUp',
      'PublicKey',
    ],
    ...['SaveConfig', 'PresharedKey', 'AllowedIPs', 'Endpoint', 'PersistentKeepalive', 'toString'],
  );
  const value = fc.oneof(
    fc.constantFrom('', 'off', 'auto', 'true', '10.0.0.1/24', '::/0', '[::1]:5', 'host:5', '0x10'),
    fc
      .uint8Array({ minLength: 31, maxLength: 33 })
      .map((bytes) => Buffer.from(bytes).toString('base64')),
    fc.nat().map(String),
    fc.string(),
  );
  const line = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(key, value).map(([name, text]) => `${name} = ${text}`) },
    { weight: 2, arbitrary: fc.constantFrom('[Interface]', '[Peer]', '', '# comment') },
    { weight: 1, arbitrary: fc.string() },
  );

  test('any lines: a configuration, or an error with its place', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
        try {
          const { peers } = parseWgQuickConfiguration(['[Interface]', ...lines].join('\n'), 'f');
          for (const peer of peers) expect(peer.publicKey).toHaveLength(32);
        } catch (error) {
          expect(error).toBeInstanceOf(CausewayError);
          expect((error as CausewayError).message).toMatch(/^f:\d+: .*\.$/);
        }
      }),
      RUNS,
    );
  });

  test('any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        try {
          parseWgQuickConfiguration(text, 'f');
        } catch (error) {
          expect(error).toBeInstanceOf(CausewayError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('endpoints and names', () => {
  test('any text is an endpoint that prints and reads back, or none', () => {
    const text = fc.oneof(
      fc.string(),
      fc.tuple(fc.ipV6(), fc.nat(70_000)).map(([host, port]) => `[${host}]:${port}`),
      fc.tuple(fc.ipV4(), fc.nat(70_000)).map(([host, port]) => `${host}:${port}`),
    );
    fc.assert(
      fc.property(text, (given) => {
        splitHostAndPort(given);
        const endpoint = parseEndpoint(given, noInterfaces);
        if (endpoint === undefined) return;
        expect(parseEndpoint(formatEndpoint(endpoint), noInterfaces)).toEqual(endpoint);
      }),
      RUNS,
    );
  });

  test('any text is a name or is not', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => void interfaceNameFault(name)),
      RUNS,
    );
  });
});

describe('netlink', () => {
  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => void decodeNetlink(bytes)),
      RUNS,
    );
  });

  test('messages with any type, sizes and attributes', () => {
    const attribute = fc.record({
      type: fc.nat(70),
      size: fc.nat(40),
      value: fc.uint8Array({ maxLength: 24 }),
    });
    const message = fc.record({
      type: fc.constantFrom(2, 3, 4, 16, 17, 20, 21, 24, 25, 99),
      body: fc.uint8Array({ minLength: 8, maxLength: 16 }),
      attributes: fc.array(attribute, { maxLength: 4 }),
      error: fc.integer({ min: -4, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), fc.nat(400), (messages, length) => {
        const parts = messages.map(({ type, body, attributes, error }) => {
          const tail = attributes.map(({ type, size, value }) => {
            const header = Buffer.alloc(4);
            header.writeUInt16LE(size, 0);
            header.writeUInt16LE(type, 2);
            return Buffer.concat([header, value]);
          });
          const rest = Buffer.concat([body, ...tail]);
          const header = Buffer.alloc(16);
          header.writeUInt32LE(Math.max(0, 16 + rest.length + error), 0);
          header.writeUInt16LE(type, 4);
          return Buffer.concat([header, rest]);
        });
        const bytes = Buffer.concat(parts);
        expect(decodeNetlink(bytes, length).length).toBeLessThanOrEqual(messages.length + 1);
      }),
      RUNS,
    );
  });

  test('a request is as long as it says', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(), fc.string({ maxLength: 15 })), fc.nat(), (link, sequence) => {
        const bytes = encodeLinkRequest(link, sequence);
        expect(new DataView(bytes.buffer).getUint32(0, true)).toBe(bytes.length);
        expect(bytes.length % 4).toBe(0);
      }),
    );
  });
});
