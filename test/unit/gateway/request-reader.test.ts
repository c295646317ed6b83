import { describe, expect, test } from 'vitest';
import { formatAllowedIp, unpackAllowedIps } from '../../../src/gateway/allowed-ip-records.ts';
import {
  MAX_LINE_LENGTH,
  RequestReader,
  type UapiRequest,
} from '../../../src/gateway/uapi/request-reader.ts';
import { formatPrefix } from '../../../src/routing/prefix.ts';

const KEY = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);

function read(text: string): UapiRequest[] {
  const reader = new RequestReader((name) => (name === 'eth0' ? 7 : undefined));
  return reader.push(new TextEncoder().encode(text));
}

/** The errno of a `set=1` request with these lines, or 'ok'. */
function outcome(...lines: string[]): string {
  const [request] = read(`set=1\n${lines.join('\n')}\n\n`);
  if (request?.kind === 'set') return 'ok';
  return request?.kind === 'refused' ? request.error.errno : String(request?.kind);
}

describe('requests', () => {
  test('get, set and get again, in one piece and byte by byte', () => {
    const text = `get=1\n\nset=1\nlisten_port=1\n\nget=1\n\n`;
    expect(read(text).map(({ kind }) => kind)).toEqual(['get', 'set', 'get']);
    const reader = new RequestReader(() => undefined);
    const kinds = [...text].flatMap((character) =>
      reader.push(new TextEncoder().encode(character)).map(({ kind }) => kind),
    );
    expect(kinds).toEqual(['get', 'set', 'get']);
    expect(reader.pending).toBe(false);
  });

  test('a request that has not ended is nothing yet', () => {
    const reader = new RequestReader(() => undefined);
    expect(reader.push(new TextEncoder().encode('set=1\nlisten_port=1\n'))).toEqual([]);
    expect(reader.pending).toBe(true);
  });

  test('an unknown operation loses the connection, and what follows is not read', () => {
    expect(read('get=2\n\nget=1\n\n').map(({ kind }) => kind)).toEqual(['lost']);
    expect(read(`${'x'.repeat(10_000)}\nget=1\n\n`).map(({ kind }) => kind)).toEqual(['lost']);
  });

  test('after a refused request the next one is found', () => {
    const requests = read(`set=1\nnonsense\nlisten_port=5\n\nget=1\n\n`);
    expect(requests.map(({ kind }) => kind)).toEqual(['refused', 'get']);
  });

  test('get takes no lines', () => {
    const [request] = read('get=1\nx=1\n\n');
    expect(request).toMatchObject({ kind: 'refused', operation: 'get' });
  });

  test('a line of any length costs no more than the longest that is allowed', () => {
    const long = `private_key=${'0'.repeat(MAX_LINE_LENGTH)}`;
    expect(outcome(long, 'listen_port=1')).toBe('EINVAL');
    expect(read(`set=1\n${long}\n\nget=1\n\n`).map(({ kind }) => kind)).toEqual(['refused', 'get']);
  });
});

describe('set', () => {
  test('every key', () => {
    const [request] = read(
      [
        ...['set=1', `private_key=${KEY}`, 'listen_port=51820', 'fwmark=51820'],
        ...['replace_peers=true', `public_key=${OTHER}`, 'update_only=true'],
        ...[`preshared_key=${KEY}`, 'endpoint=[fe80::1%eth0]:9', 'protocol_version=1'],
        ...['persistent_keepalive_interval=25', 'replace_allowed_ips=true'],
        ...['allowed_ip=10.1.2.3/8', 'allowed_ip=-fd00::/64', `public_key=${KEY}`, 'remove=true'],
        ...['', ''],
      ].join('\n'),
    );
    if (request?.kind !== 'set') throw new Error('refused');
    const { privateKey, peers, ...device } = request.change;
    expect(device).toEqual({ listenPort: 51_820, fwmark: 51_820, replacePeers: true });
    expect(privateKey).toEqual(new Uint8Array(32).fill(0xa1));
    expect(peers).toHaveLength(2);
    const { allowedIps, ...peer } = peers[0]!;
    expect(peer).toEqual({
      publicKey: new Uint8Array(32).fill(0xb2),
      updateOnly: true,
      presharedKey: new Uint8Array(32).fill(0xa1),
      endpoint: {
        family: 6,
        address: Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
        port: 9,
        scope: 7,
      },
      persistentKeepalive: 25,
      replaceAllowedIps: true,
    });
    expect(allowedIps?.[0]).toBe(0);
    expect(allowedIps?.[20]).toBe(1);
    expect([...unpackAllowedIps(allowedIps!)].map(formatPrefix)).toEqual([
      '10.0.0.0/8',
      'fd00::/64',
    ]);
    expect(formatAllowedIp(allowedIps!, 20)).toBe('fd00::/64');
    expect(peers[1]).toEqual({ publicKey: new Uint8Array(32).fill(0xa1), remove: true });
  });

  test('replace_allowed_ips forgets the prefixes before it', () => {
    const [request] = read(
      `set=1\npublic_key=${KEY}\nallowed_ip=10.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=::/0\n\n`,
    );
    if (request?.kind !== 'set') throw new Error('refused');
    expect([...unpackAllowedIps(request.change.peers[0]!.allowedIps!)].map(formatPrefix)).toEqual([
      '::/0',
    ]);
  });

  test.each([
    ['EPROTO', ['no equals sign']],
    ['EINVAL', ['unknown=1']],
    ['EINVAL', ['private_key=00']],
    ['EINVAL', [`private_key=${'zz'.repeat(32)}`]],
    ['EINVAL', ['listen_port=65536']],
    ['EINVAL', ['listen_port=-1']],
    ['EINVAL', ['listen_port=']],
    ['EINVAL', ['listen_port=0x10']],
    ['EINVAL', ['fwmark=4294967296']],
    ['EINVAL', ['replace_peers=false']],
    ['EINVAL', ['endpoint=1.2.3.4:5']],
    ['EINVAL', ['public_key=00']],
    ['EINVAL', [`public_key=${KEY}`, 'listen_port=5']],
    ['EINVAL', [`public_key=${KEY}`, 'endpoint=example.com:5']],
    ['EINVAL', [`public_key=${KEY}`, 'endpoint=1.2.3.4']],
    ['EINVAL', [`public_key=${KEY}`, 'endpoint=1.2.3.4:0']],
    ['EINVAL', [`public_key=${KEY}`, 'endpoint=::1:5']],
    ['EINVAL', [`public_key=${KEY}`, 'endpoint=[fe80::1%nope]:5']],
    ['EINVAL', [`public_key=${KEY}`, 'persistent_keepalive_interval=65536']],
    ['EINVAL', [`public_key=${KEY}`, 'allowed_ip=10.0.0.0/33']],
    ['EINVAL', [`public_key=${KEY}`, 'allowed_ip=10.0.0.0']],
    ['EINVAL', [`public_key=${KEY}`, 'protocol_version=2']],
    ['EINVAL', [`public_key=${KEY}`, 'remove=yes']],
    ['ok', []],
    ['ok', ['listen_port=0', 'fwmark=0']],
    ['ok', [`public_key=${KEY.toUpperCase()}`, 'endpoint=[::ffff:192.0.2.1]:5']],
  ])('%s: %j', (errno, lines) => {
    expect(outcome(...lines)).toBe(errno);
  });

  test('a refusal never repeats a key', () => {
    const [request] = read(`set=1\nprivate_key=${KEY}0\n\n`);
    if (request?.kind !== 'refused') throw new Error('not refused');
    expect(request.error.message).not.toContain('a1a1');
  });
});
