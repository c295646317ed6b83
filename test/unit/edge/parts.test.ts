/** Parts of the edge by themselves. */
import { X509Certificate } from 'node:crypto';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import type { NetworkInterfaceInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RegistryEvent } from '../../../src/control/registry/objects.ts';
import { bearerKind } from '../../../src/control/secrets.ts';
import { createBearer } from '../../../src/edge/bearer.ts';
import { loadCertificate } from '../../../src/edge/certificate.ts';
import { lockDirectory } from '../../../src/edge/directory-lock.ts';
import { FailureLimiter, sourceKey } from '../../../src/edge/failure-limiter.ts';
import { problemOf, RequestError } from '../../../src/edge/problem.ts';
import { machineAddresses, publicAddresses } from '../../../src/edge/public-addresses.ts';
import { relayChanges } from '../../../src/edge/relay-link.ts';
import { createSelfSigned } from '../../../src/edge/self-signed.ts';
import {
  parseListen,
  readSettings,
  type SettingsChange,
  writeSettings,
} from '../../../src/edge/settings.ts';
import { CausewayError } from '../../../src/errors.ts';
import { randomPublicKey, temporaryDirectory } from './edge-under-test.ts';

let folder: string;
beforeAll(() => {
  folder = temporaryDirectory();
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the certificate', () => {
  const now = new Date('2026-05-01T00:00:00Z');

  test('of our own is made once, for the names, and pinned', async () => {
    const names = ['edge.example.com', '192.0.2.1', '2001:db8::1'];
    const first = await loadCertificate(folder, null, names, now);
    const certificate = new X509Certificate(first.certificate);
    expect(certificate.subjectAltName).toMatch(/DNS:edge\.example\.com/);
    expect(certificate.subjectAltName).toMatch(/IP Address:192\.0\.2\.1/);
    expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(first.pin).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(join(folder, 'tls.key')).mode & 0o777).toBe(0o600);
    // A pin holds beyond the certificate's dates.
    const later = new Date('2046-05-01T00:00:00Z');
    expect(await loadCertificate(folder, null, [], later)).toEqual(first);
  });

  test("of the operator's must be one, and have its key", async () => {
    const mine = await createSelfSigned(['a.example'], now);
    const other = await createSelfSigned(['b.example'], now);
    const files = { certificate: join(folder, 'a.pem'), key: join(folder, 'a.key') };
    const load = () => loadCertificate(folder, files, [], now);
    await expect(load()).rejects.toMatchObject({ code: 'FILE_ACCESS' });
    writeFileSync(files.certificate, 'nothing');
    writeFileSync(files.key, other.key);
    await expect(load()).rejects.toMatchObject({ code: 'CERTIFICATE' });
    writeFileSync(files.certificate, mine.certificate);
    await expect(load()).rejects.toThrow('is not the private key of');
    writeFileSync(files.key, mine.key);
    expect((await load()).pin).not.toBeNull();
  });
});

describe('settings', () => {
  async function update(path: string, change: SettingsChange) {
    const settings = await readSettings(path, change);
    await writeSettings(path, settings);
    return settings;
  }

  test('are kept, and changed by what is given', async () => {
    const path = join(folder, 'settings.json');
    const first = await update(path, { name: 'north', relayPort: 4_500 });
    expect(first).toMatchObject({ name: 'north', relayPort: 4_500, listen: { port: 8_443 } });
    const second = await update(path, { name: undefined, public: ['edge.example'] });
    expect(second).toEqual({ ...first, public: ['edge.example'] });
    await expect(update(path, { relayPort: 70_000 })).rejects.toThrow('--relay-port 70000');
    await expect(update(path, { urls: ['http://x'] })).rejects.toThrow('--url "http://x"');
    await expect(update(path, { public: ['a b'] })).rejects.toThrow('--public "a b"');
    expect(await update(path, {})).toEqual(second);
  });

  test.each([
    ['8443', { host: '::', port: 8_443 }],
    [':443', { host: '::', port: 443 }],
    ['192.0.2.1:443', { host: '192.0.2.1', port: 443 }],
    ['[2001:db8::1]:443', { host: '2001:db8::1', port: 443 }],
  ])('--listen %s', (text, expected) => {
    expect(parseListen(text)).toEqual(expected);
  });

  test.each(['x', '1:2:3', '70000', '[::1]', 'a:b'])('--listen %s is refused', (text) => {
    expect(() => parseListen(text)).toThrow('no HOST:PORT');
  });

  test('say where the edge is reached', async () => {
    const path = join(folder, 'addresses.json');
    // What is wrong is called as on the command line.
    const wrong = update(path, { endpoints: ['edge.example:1', 'foo'] });
    await expect(wrong).rejects.toThrow('--endpoint "foo": not HOST:PORT');
    const settings = await update(path, { public: ['edge.example', '2001:db8::1'] });
    const ports = { api: 443, relay: 4_500 };
    expect(publicAddresses(settings, ports)).toEqual({
      hosts: ['edge.example', '2001:db8::1'],
      endpoints: ['edge.example:4500', '[2001:db8::1]:4500'],
      urls: ['https://edge.example:443', 'https://[2001:db8::1]:443'],
      warning: undefined,
    });
    const other = await update(path, { endpoints: ['nat.example:1'] });
    expect(publicAddresses(other, ports).endpoints).toEqual(['nat.example:1']);
    expect(publicAddresses({ ...settings, public: [] }, ports, ['10.0.0.1']).urls).toEqual([
      'https://10.0.0.1:443',
    ]);
  });

  test('a machine of which only private addresses are found: the operator is told', async () => {
    const settings = await readSettings(join(folder, 'private.json'), {});
    const ports = { api: 443, relay: 4_500 };
    const warn = (...machine: string[]) => publicAddresses(settings, ports, machine).warning;
    expect(warn('10.0.0.1', '192.168.7.1', '172.31.0.1', '100.96.0.1', 'fd00::1')).toMatch(
      /at 10\.0\.0\.1, 192\.168\.7\.1, .*fd00::1, .* --public /,
    );
    expect(warn('127.0.0.1')).toMatch(/--public/);
    expect(warn('10.0.0.1', '203.0.113.1')).toBeUndefined();
    expect(warn('172.32.0.1')).toBeUndefined();
    expect(warn('2001:db8::1')).toBeUndefined();
    const given = { ...settings, public: ['10.0.0.1'] };
    expect(publicAddresses(given, ports, ['10.0.0.1']).warning).toBeUndefined();
    const forwarded = { ...settings, urls: ['https://a:1'], endpoints: ['a:1'] };
    expect(publicAddresses(forwarded, ports, ['10.0.0.1']).warning).toBeUndefined();
  });

  test("addresses of tunnels and containers are not the machine's", () => {
    const at = (address: string, family: 'IPv4' | 'IPv6' = 'IPv4', internal = false) => [
      {
        address,
        family,
        internal,
        netmask: '',
        mac: '',
        cidr: null,
        scopeid: 0,
      } as NetworkInterfaceInfo,
    ];
    const inner = [
      'causeway0',
      'docker0',
      'br-0123456789ab',
      'veth12ab',
      'virbr0',
      'lxcbr0',
      'cni0',
    ];
    const interfaces = {
      lo: at('127.0.0.1', 'IPv4', true),
      ...Object.fromEntries(inner.map((name, i) => [name, at(`10.9.${i}.1`)])),
      eth1: at('2001:db8::1', 'IPv6'),
      eth2: at('fe80::1', 'IPv6'),
      br0: at('203.0.113.7'),
    };
    expect(machineAddresses(interfaces)).toEqual(['203.0.113.7', '2001:db8::1']);
    expect(machineAddresses({ docker0: at('172.17.0.1') })).toEqual(['127.0.0.1']);
  });
});

describe('failures', () => {
  test('are counted by address or IPv6 site, and forgiven with time', () => {
    const limiter = new FailureLimiter();
    for (let i = 0; i < 30; i++) expect(limiter.fail('192.0.2.1', 0)).toBe(0);
    expect(limiter.fail('192.0.2.1', 0)).toBeGreaterThan(0);
    expect(limiter.fail('::ffff:192.0.2.1', 0)).toBeGreaterThan(0);
    expect(limiter.fail('192.0.2.2', 0)).toBe(0);
    expect(limiter.fail('192.0.2.1', 2_000)).toBe(0);
    expect(limiter.fail('192.0.2.1', 2_000)).toBeGreaterThan(0);
    expect(sourceKey('2001:db8:1:2:3:4:5:6')).toBe(sourceKey('2001:db8:1:2:ffff::1'));
    expect(sourceKey('2001:db8:1:2::1')).not.toBe(sourceKey('2001:db8:1:3::1'));
  });

  test('of many addresses take bounded memory', () => {
    const limiter = new FailureLimiter();
    for (let i = 0; i < 20_000; i++) limiter.fail(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, i);
    expect(limiter.size).toBeLessThanOrEqual(8_192);
  });
});

test('bearer secrets say their kind, and are never the same', () => {
  expect(bearerKind(createBearer('token'))).toBe('token');
  expect(bearerKind(createBearer('replica'))).toBe('replica');
  expect(createBearer('token')).not.toBe(createBearer('token'));
  for (const text of ['', 'cwt_', `cwt_${'a'.repeat(44)}`, `cwx_${'a'.repeat(43)}`]) {
    expect(bearerKind(text)).toBeUndefined();
  }
});

test('a locked directory is refused until it is released', () => {
  const lock = lockDirectory(folder, 0);
  expect(() => lockDirectory(folder, 0)).toThrow('Another process uses');
  lock.release();
  lock.release();
  lockDirectory(folder, 0).release();
  expect(() => lockDirectory(join(folder, 'missing'), 0)).toThrow('cannot be locked');
});

test("problems: what is not the requester's to know is only a request id", () => {
  const secret = problemOf(new Error('the password is x'), 'r1');
  expect(secret).toMatchObject({ status: 500, code: 'INTERNAL' });
  expect(JSON.stringify(secret)).not.toContain('password');
  expect(problemOf(new CausewayError('STORE_FULL', 'Full.'), 'r1').status).toBe(507);
  expect(problemOf(new CausewayError('STORE_DAMAGED', 'Path.'), 'r1').code).toBe('INTERNAL');
  const faults = [{ path: 'body.name', message: 'bad' }];
  expect(problemOf(new RequestError('Bad.', faults), 'r1').errors).toEqual(faults);
});

test('the relay is told of replicas that come, change their key, and go', () => {
  const replica = { relayId: 7, vnet: 'v', publicKey: randomPublicKey(), credentialHash: 'a' };
  const event = (before: unknown, after: unknown) =>
    ({ kind: 'replica', key: '', before, after }) as RegistryEvent;
  expect(relayChanges([event(undefined, replica)])).toMatchObject([{ relayId: 7, vnet: 'v' }]);
  expect(relayChanges([event(replica, { ...replica, credentialHash: 'b' })])).toEqual([]);
  const other = { ...replica, publicKey: randomPublicKey() };
  expect(relayChanges([event(replica, other)])).toHaveLength(1);
  // An id that is given anew in the same change: removed first.
  expect(relayChanges([event(undefined, other), event(replica, undefined)])).toMatchObject([
    { relayId: 7, remove: true },
    { relayId: 7, vnet: 'v' },
  ]);
});
