/** Whom a gateway takes for its edge: any of several pins, or an authority. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  connectToEdge,
  pinsOf,
  type TlsPin,
} from '../../../../src/gateway/mesh/edge-connection.ts';
import { FakeEdge } from './fake-edge.ts';

const OTHER = 'f'.repeat(64);
const authorities = getCACertificates('default');

let edge: FakeEdge;
beforeEach(async () => {
  edge = await FakeEdge.open();
});
afterEach(async () => {
  setDefaultCACertificates(authorities);
  await edge[Symbol.asyncDispose]();
});

async function connects(...pins: TlsPin[]): Promise<boolean> {
  try {
    (await connectToEdge(edge.url, pins)).destroy();
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'EDGE_UNTRUSTED' });
    return false;
  }
}

test('any of its pins', async () => {
  expect(await connects(edge.pin)).toBe(true);
  expect(await connects(OTHER, edge.pin)).toBe(true);
  expect(await connects(edge.pin, OTHER)).toBe(true);
  expect(await connects(OTHER)).toBe(false);
  expect(await connects()).toBe(false);
});

test('a pin or an authority', async () => {
  expect(await connects(null)).toBe(false);
  expect(await connects(OTHER, null)).toBe(false);
  expect(await connects(edge.pin, null)).toBe(true);
  setDefaultCACertificates([...authorities, edge.certificate]);
  expect(await connects(null)).toBe(true);
  expect(await connects(OTHER, null)).toBe(true);
  // An authority is nobody where it was not named.
  expect(await connects(OTHER)).toBe(false);
});

test('an authority vouches for a name', async () => {
  setDefaultCACertificates([...authorities, edge.certificate]);
  const elsewhere = edge.url.replace('127.0.0.1', 'localhost');
  await expect(connectToEdge(elsewhere, [null])).rejects.toMatchObject({ code: 'EDGE_UNTRUSTED' });
});

test('of an edge that announces nothing, one that announces a pin, one that announces an authority', () => {
  expect(pinsOf({ tlsPin: OTHER })).toEqual([OTHER]);
  expect(pinsOf({ tlsPin: OTHER, nextTlsPin: 'a' })).toEqual([OTHER, 'a']);
  expect(pinsOf({ tlsPin: null, nextTlsPin: OTHER })).toEqual([null, OTHER]);
  expect(pinsOf({ tlsPin: OTHER, nextTlsPin: null })).toEqual([OTHER, null]);
});

test('the same authorities, however Node.js was started', () => {
  const path = join(import.meta.dirname, '../../../../src/gateway/mesh/edge-connection.ts');
  const program = `
    import { X509Certificate } from 'node:crypto';
    import { getCACertificates } from 'node:tls';
    import { authorities } from ${JSON.stringify(path)};
    const known = (pems) => [...new Set(pems.map((pem) => new X509Certificate(pem).fingerprint256))];
    const usual = known([...getCACertificates('default'), ...getCACertificates('system')]);
    console.log(JSON.stringify({ usual: usual.sort(), ours: known(authorities()).sort() }));`;
  const ask = (...options: string[]): { usual: string[]; ours: string[] } => {
    const all = [...options, '--input-type=module', '--eval', program];
    return JSON.parse(execFileSync(process.execPath, all, { encoding: 'utf8' }));
  };
  const { usual, ours } = ask();
  expect(ours.length).toBeGreaterThan(0);
  expect(ours).toEqual(usual);
  // As bin/connector does.
  expect(ask('--use-openssl-ca').ours).toEqual(usual);
});
