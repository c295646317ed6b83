/**
 * The real `wg` against our UAPI server: what it sets arrives, what it shows is what is there. The
 * tunnel behind the server carries no packets, the socket is the real one in /var/run/wireguard.
 */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openUapi } from '../../src/gateway/uapi/server.ts';
import type { UnixSocket } from '../../src/gateway/unix-socket.ts';
import { keyToBase64, keyToHex } from '../../src/keys.ts';
import { FakeTunnel } from '../unit/gateway/fake-tunnel.ts';

function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  try {
    execFileSync('wg', ['--version']);
    return undefined;
  } catch {
    return 'wg is not installed (wireguard-tools)';
  }
}
const skipped = missing();
const run = promisify(execFile);
const log = pino({ level: 'silent' });
const name = `cwu${process.pid % 100_000}`;

const key = (): string => keyToBase64(randomBytes(32));
/** A public key's top bit is not used; `wg` prints it back as it was given. */
const peerKey = (n: number): string => keyToBase64(new Uint8Array(32).fill(n));

describe.skipIf(skipped !== undefined)(`wg against the UAPI (${skipped ?? 'real wg'})`, () => {
  let folder: string;
  let tunnel: FakeTunnel;
  let socket: UnixSocket;

  const wg = async (...args: string[]): Promise<string> =>
    (await run('wg', args, { env: { ...process.env, WG_HIDE_KEYS: 'never' }, maxBuffer: 1 << 26 }))
      .stdout;
  const wgError = async (...args: string[]): Promise<string> => {
    const failed = await run('wg', args).catch((error: { code: number; stderr: string }) => error);
    if (!('code' in failed)) throw new Error('wg should have failed');
    expect(failed.code).toBe(1);
    return failed.stderr.trim();
  };
  const file = (text: string): string => {
    const path = join(folder, 'file');
    writeFileSync(path, text);
    return path;
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'uapi-wg-'));
    tunnel = new FakeTunnel(name);
    socket = await openUapi(tunnel, log);
  });
  afterEach(async () => {
    await socket.close();
    rmSync(folder, { recursive: true });
  });

  test('the socket is 0600 where wg looks for it, and gone after close', async () => {
    expect(socket.path).toBe(`/var/run/wireguard/${name}.sock`);
    expect(statSync(socket.path).mode & 0o777).toBe(0o600);
    expect((await wg('show', 'interfaces')).split(/\s/)).toContain(name);
    await socket.close();
    expect(existsSync(socket.path)).toBe(false);
  });

  test('wg set, then wg show, for every key there is', async () => {
    const psk = key();
    await wg('set', name, 'private-key', file(key()), 'listen-port', '7777', 'fwmark', '0xca6c');
    await wg(
      ...['set', name, 'peer', peerKey(1), 'preshared-key', file(psk)],
      ...['endpoint', '192.0.2.1:51820', 'persistent-keepalive', '25'],
      ...['allowed-ips', '10.1.2.3/8,fd00::/64'],
    );
    await wg('set', name, 'peer', peerKey(2), 'endpoint', '[2001:db8::1]:1', 'allowed-ips', '::/0');
    expect(await wg('show', name, 'listen-port')).toBe('7777\n');
    expect(await wg('show', name, 'fwmark')).toBe('0xca6c\n');
    expect(await wg('show', name, 'peers')).toBe(`${peerKey(1)}\n${peerKey(2)}\n`);
    expect(await wg('show', name, 'preshared-keys')).toBe(
      `${peerKey(1)}\t${psk}\n${peerKey(2)}\t(none)\n`,
    );
    expect(await wg('show', name, 'endpoints')).toBe(
      `${peerKey(1)}\t192.0.2.1:51820\n${peerKey(2)}\t[2001:db8::1]:1\n`,
    );
    expect(await wg('show', name, 'persistent-keepalive')).toBe(
      `${peerKey(1)}\t25\n${peerKey(2)}\toff\n`,
    );
    expect(await wg('show', name, 'allowed-ips')).toBe(
      `${peerKey(1)}\t10.0.0.0/8 fd00::/64\n${peerKey(2)}\t::/0\n`,
    );
    const snapshot = tunnel.snapshot();
    expect(await wg('show', name, 'public-key')).toBe(`${keyToBase64(snapshot.publicKey!)}\n`);
    expect(await wg('show', name, 'private-key')).toBe(`${keyToBase64(snapshot.privateKey!)}\n`);
    expect(await wg('show', name)).toContain('persistent keepalive: every 25 seconds');
  });

  test('statistics: bytes and the latest handshake', async () => {
    await wg('set', name, 'peer', peerKey(1));
    const id = keyToHex(new Uint8Array(32).fill(1));
    tunnel.statistics.set(id, {
      endpoint: { family: 4, address: new Uint8Array([192, 0, 2, 9]), port: 9, scope: 0 },
      lastHandshake: 1_700_000_000_123.5,
      rxBytes: 12_345_678_901,
      txBytes: 42,
    });
    expect(await wg('show', name, 'transfer')).toBe(`${peerKey(1)}\t12345678901\t42\n`);
    expect(await wg('show', name, 'latest-handshakes')).toBe(`${peerKey(1)}\t1700000000\n`);
    expect(await wg('show', name, 'endpoints')).toBe(`${peerKey(1)}\t192.0.2.9:9\n`);
  });

  test('a scoped endpoint comes back as wg prints it', async () => {
    await wg('set', name, 'peer', peerKey(1), 'endpoint', '[fe80::1%lo]:5');
    expect(await wg('show', name, 'endpoints')).toBe(`${peerKey(1)}\t[fe80::1%lo]:5\n`);
  });

  test('removing: a peer, a preshared key, the private key, the mark', async () => {
    await wg('set', name, 'private-key', file(key()), 'fwmark', '5');
    await wg('set', name, 'peer', peerKey(1), 'preshared-key', file(key()));
    await wg('set', name, 'peer', peerKey(1), 'preshared-key', '/dev/null');
    expect(await wg('show', name, 'preshared-keys')).toBe(`${peerKey(1)}\t(none)\n`);
    await wg('set', name, 'private-key', '/dev/null', 'fwmark', 'off');
    expect(await wg('show', name, 'private-key')).toBe('(none)\n');
    expect(await wg('show', name, 'fwmark')).toBe('off\n');
    await wg('set', name, 'peer', peerKey(1), 'remove');
    expect(await wg('show', name, 'peers')).toBe('');
  });

  test('a prefix moves to the peer that it is given to last', async () => {
    await wg('set', name, 'peer', peerKey(1), 'allowed-ips', '10.0.0.0/8,10.1.0.0/16');
    await wg('set', name, 'peer', peerKey(2), 'allowed-ips', '10.0.0.0/8');
    expect(await wg('show', name, 'allowed-ips')).toBe(
      `${peerKey(1)}\t10.1.0.0/16\n${peerKey(2)}\t10.0.0.0/8\n`,
    );
  });

  test('setconf, showconf, addconf and syncconf agree with each other', async () => {
    const text =
      `[Interface]\nListenPort = 7000\nPrivateKey = ${key()}\n\n` +
      `[Peer]\nPublicKey = ${peerKey(1)}\nAllowedIPs = 10.0.0.0/24, fd00::/120\n` +
      `Endpoint = 192.0.2.1:7\nPersistentKeepalive = 9\n`;
    await wg('setconf', name, file(text));
    const shown = await wg('showconf', name);
    await wg('setconf', name, file(shown));
    expect(await wg('showconf', name)).toBe(shown);
    await wg(
      'addconf',
      name,
      file(`[Peer]\nPublicKey = ${peerKey(2)}\nAllowedIPs = 10.9.0.0/16\n`),
    );
    expect(await wg('show', name, 'peers')).toBe(`${peerKey(1)}\n${peerKey(2)}\n`);
    await wg('syncconf', name, file(shown));
    expect(await wg('showconf', name)).toBe(shown);
    await wg('setconf', name, file('[Interface]\n'));
    expect(await wg('show', name, 'peers')).toBe('');
  });

  test('130,560 prefixes on one peer go in and come out', async () => {
    let text = `[Interface]\n[Peer]\nPublicKey = ${peerKey(1)}\n`;
    for (let a = 1; a <= 255; a++) {
      for (let b = 0; b <= 255; b++) text += `AllowedIPs=${a}.${b}.0.0/16,${a}::${b}/128\n`;
    }
    const start = performance.now();
    await wg('setconf', name, file(text));
    const shown = (await wg('show', name, 'allowed-ips')).trim().split(/\s+/);
    expect(shown).toHaveLength(130_560 + 1);
    expect(new Set(shown).size).toBe(130_560 + 1);
    // Takes about a second; ten says that nothing is quadratic.
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('what is refused is said in words, and nothing of it is applied', async () => {
    tunnel.busyPorts.add(7);
    expect(await wgError('set', name, 'listen-port', '7', 'peer', peerKey(1))).toBe(
      'Unable to modify interface: Address already in use',
    );
    expect(await wg('show', name, 'peers')).toBe('');
  });

  test("the device's own public key is no peer", async () => {
    await wg('set', name, 'private-key', file(key()));
    const own = (await wg('show', name, 'public-key')).trim();
    await wg('set', name, 'peer', own, 'allowed-ips', '10.0.0.0/8');
    expect(await wg('show', name, 'peers')).toBe('');
  });
});
