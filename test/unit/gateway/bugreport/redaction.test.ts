/** What leaves this host and what does not. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeJoinToken } from '../../../../src/control/join-token.ts';
import { connectorIdSchema } from '../../../../src/control/model.ts';
import { bearerText, joinSecretText } from '../../../../src/control/secrets.ts';
import { formsOfKey, Redaction, type Secret } from '../../../../src/gateway/bugreport/redaction.ts';
import { keyToBase64, keyToHex } from '../../../../src/keys.ts';

function clean(text: string, ...secrets: Secret[]): string {
  return new Redaction(secrets).clean(text);
}

const KEY = Uint8Array.from({ length: 32 }, (_, i) => 200 - i * 3);
const JOIN = joinSecretText(3, new Uint8Array(24).fill(0xa5));
const TOKEN = encodeJoinToken({
  connector: connectorIdSchema.parse('0b2c9a8e-6f0d-4c55-9b53-4f6f1b9f4f10'),
  secret: JOIN,
  urls: ['https://edge.example.com:8443'],
  tlsPin: null,
  edgePublicKey: keyToBase64(KEY),
});
const API = bearerText('token', new Uint8Array(32).fill(7));
const CREDENTIAL = bearerText('replica', new Uint8Array(32).fill(9));
const PEM = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIJ2nZ7mJt0lP
-----END EC PRIVATE KEY-----`;

test.each([
  [`token = "${TOKEN}"`, TOKEN],
  [`connector up --token ${TOKEN} --foreground`, TOKEN],
  [`{"secret":"${JOIN}"}`, JOIN],
  [`joined with ${JOIN}.`, JOIN],
  [`Environment=CAUSEWAY_TOKEN=${API}`, API],
  [`comment "${API}"`, API],
  [`"credential": "${CREDENTIAL}"`, CREDENTIAL],
  [`authorization: Bearer abcDEF123.456-xyz`, 'abcDEF123'],
  [`Authorization: Basic dXNlcjpwYXNz`, 'dXNlcjpwYXNz'],
  [`https://admin:hunter22@edge.example.com/x`, 'hunter22'],
  [`before ${PEM} after`, 'MHcCAQEEIJ2n'],
  [PEM.slice(0, 50), 'MHcCAQEEIJ2n'.slice(0, 8)],
  [`PrivateKey = ${keyToBase64(KEY)}`, keyToBase64(KEY)],
  [`key ${keyToBase64(KEY)}, and more`, keyToBase64(KEY)],
  [`key=${keyToHex(KEY)}`, keyToHex(KEY)],
  ['DB_PASSWORD=opensesame', 'opensesame'],
  ['password: "open sesame"', 'sesame'],
  ["api_key='k1'", 'k1'],
  ['/opt/sql-connector --user u --password hunter2 --batch', 'hunter2'],
  ['--db-passwd "open sesame" -x', 'sesame'],
  ["connector --api-key 'k 1'", 'k 1'],
  [
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P',
    'dozjgNryP4J',
  ],
  ['AKIAIOSFODNN7EXAMPLE', 'AKIAIOSFODNN7EXAMPLE'],
  ['ghp_16C7e42F292c6912E7710c838347Ae178B4a', '16C7e42F292c'],
])('%s', (text, secret) => {
  expect(clean(text)).not.toContain(secret);
});

test.each([
  'token-file = "/etc/causeway/token"',
  'advertise = ["10.1.0.0/16", "2001:db8:1::/48"]',
  '10.2.0.0/24 dev causeway0 proto 187 mtu 1280 table 51820',
  'replica 0b2c9a8e-6f0d-4c55-9b53-4f6f1b9f4f10, relay 12',
  'token = true',
  'connector up --token-file /etc/causeway/token --interface causeway0',
  'connector rotate-token --token --json',
  'join again with a new token:\n  connector up',
  'table inet causeway-causeway0 { chain forward { type filter hook forward priority mangle; } }',
  'Nothing was heard from plant since 2026-11-28T17:00:00.000Z',
  'https://edge.example.com:8443/v1/netmap',
  'The credential is not known to the edge [UNAUTHORIZED]',
])('stays: %s', (text) => {
  expect(clean(text)).toBe(text);
});

test('a public key can be told from others, and no more', () => {
  const text = keyToBase64(KEY);
  expect(clean(`peer: ${text} (plant)`)).toBe(`peer: ${text.slice(0, 8)}… (plant)`);
});

test('the own secrets go wherever they are, in every form, and are counted', () => {
  const redaction = new Redaction([
    ...formsOfKey('private key', KEY),
    { what: 'secret', value: 'correct-horse' },
    { what: 'secret', value: 'a' },
  ]);
  const url = Buffer.from(KEY).toString('base64url');
  const text = `a ${keyToBase64(KEY)}x${url}y${keyToHex(KEY)} xcorrect-horsex`;
  const cleaned = redaction.clean(text);
  for (const secret of [keyToBase64(KEY), url, keyToHex(KEY), 'correct-horse']) {
    expect(cleaned).not.toContain(secret);
  }
  // One that is too short would take every word apart.
  expect(cleaned).toMatch(/^a \[private key removed\]/);
  expect(redaction.counts.get('private key')).toBe(3);
  expect(redaction.counts.get('secret')).toBe(1);
});

test('a secret with characters that mean something, and whatever text', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme' }),
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      (secret, before, after) => {
        fc.pre(
          !'[secret removed]'.includes(secret) &&
            !before.includes(secret) &&
            !after.includes(secret),
        );
        const cleaned = clean(`${before} ${secret} ${after}`, { what: 'secret', value: secret });
        expect(cleaned.includes(secret)).toBe(false);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('cleaning what is clean changes nothing', () => {
  const text = [TOKEN, API, CREDENTIAL, PEM, keyToBase64(KEY), 'password = x y'].join('\n');
  const once = clean(text);
  expect(clean(once)).toBe(once);
});
