/** Whom a gateway takes for its edge: any of several pins, or an authority. */
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
