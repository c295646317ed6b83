/** The proof of an enrolment, against node's own HKDF and HMAC; and what it does not let pass. */
import { createHmac, hkdfSync } from 'node:crypto';
import { x25519 } from '@noble/curves/ed25519.js';
import { expect, test } from 'vitest';
import {
  enrolmentProof,
  isEnrolmentProof,
  type ProvenRequest,
} from '../../../src/control/enrolment-proof.ts';
import type { ConnectorId } from '../../../src/control/model.ts';
import { keyToBase64 } from '../../../src/keys.ts';
import { uuid } from './registry-world.ts';

const host = x25519.keygen();
const edge = x25519.keygen();
const shared = x25519.getSharedSecret(host.secretKey, edge.publicKey);
const request: ProvenRequest = {
  connector: uuid(1) as ConnectorId,
  secret: '1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  publicKey: keyToBase64(host.publicKey),
  credentialHash: 'ab'.repeat(32),
  hostname: 'gw',
  version: '1.2.3',
  advertise: ['10.1.0.0/16'],
};
const proof = enrolmentProof(shared, edge.publicKey, request);

test('is what its description says', () => {
  const info = Buffer.concat([
    Buffer.from('causeway enrolment v1'),
    host.publicKey,
    edge.publicKey,
  ]);
  const key = Buffer.from(hkdfSync('sha256', shared, '', info, 32));
  const { connector, secret, publicKey, credentialHash, hostname, version, advertise } = request;
  const text = JSON.stringify([
    ...[connector, secret, publicKey, credentialHash, hostname, version],
    ...[advertise, false],
  ]);
  expect(proof).toBe(createHmac('sha256', key).update(text).digest('hex'));
});

test('the edge comes to the same by its own private key', () => {
  const atEdge = x25519.getSharedSecret(edge.secretKey, host.publicKey);
  expect(isEnrolmentProof(atEdge, edge.publicKey, { ...request, proof })).toBe(true);
  const said = { ...request, allowDefault: false, proof };
  expect(isEnrolmentProof(atEdge, edge.publicKey, said)).toBe(true);
});

test.each<[string, Partial<ProvenRequest>]>([
  ['connector', { connector: uuid(2) as ConnectorId }],
  ['secret', { secret: '2.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
  ['key', { publicKey: keyToBase64(x25519.keygen().publicKey) }],
  ['credential', { credentialHash: 'cd'.repeat(32) }],
  ['host name', { hostname: 'gw2' }],
  ['version', { version: '1.2.4' }],
  ['prefixes', { advertise: ['10.1.0.0/16', '10.2.0.0/16'] }],
  ['consent', { allowDefault: true }],
])('of another %s is none', (_what, change) => {
  expect(isEnrolmentProof(shared, edge.publicKey, { ...request, ...change, proof })).toBe(false);
});

test('of another pair of keys is none', () => {
  const other = x25519.keygen();
  const wrong = x25519.getSharedSecret(other.secretKey, edge.publicKey);
  const forged = enrolmentProof(wrong, edge.publicKey, request);
  expect(isEnrolmentProof(shared, edge.publicKey, { ...request, proof: forged })).toBe(false);
  expect(isEnrolmentProof(shared, other.publicKey, { ...request, proof })).toBe(false);
});

test('a shared secret that everybody knows proves nothing', () => {
  const zero = new Uint8Array(32);
  expect(() => enrolmentProof(zero, edge.publicKey, request)).toThrow(RangeError);
  expect(isEnrolmentProof(zero, edge.publicKey, { ...request, proof })).toBe(false);
});
