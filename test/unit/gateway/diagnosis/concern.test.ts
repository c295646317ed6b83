/** Who is answered, and about what: the rule of docs/diagnosis.md, against every pair of addresses. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { askerOf, concernOf } from '../../../../src/gateway/diagnosis/concern.ts';
import { netmap, uuid } from '../mesh/netmaps.ts';

const map = netmap({
  own: [
    ['10.1.0.0/24', true],
    ['10.9.0.0/24', false],
  ],
  peers: [
    { n: 2, prefixes: [['10.2.0.0/16'], ['10.8.0.0/24']] },
    { n: 3, prefixes: [['10.2.3.0/24'], ['10.8.0.0/24', 50]] },
    { n: 4, serving: false },
  ],
});
const ASKER = uuid(1_002);
const concern = (source: string, destination: string) =>
  concernOf(map, ASKER, { source, destination, protocol: 6, port: 22 });

describe('the asker', () => {
  test('is the connector with that mesh IP, in whichever form', () => {
    for (const address of ['100.96.0.2', '::ffff:100.96.0.2', 'fd00::2', 'FD00:0::2']) {
      expect(askerOf(map, address)?.connector).toBe(ASKER);
    }
    // A standby replica's connector too: who serves may change while it asks.
    expect(askerOf(map, '100.96.0.4')?.connector).toBe(uuid(1_004));
  });

  test.each(['100.96.0.1', '100.96.0.9', '10.2.0.1', '10.1.0.10', '127.0.0.1', '', 'fe80::1%lan0'])(
    '%s is nobody',
    (address) => expect(askerOf(map, address)).toBeUndefined(),
  );
});

test('flows between its addresses and ours, whichever way', () => {
  expect(concern('10.2.0.1', '10.1.0.1')).toEqual({ near: '10.1.0.1', far: '10.2.0.1' });
  expect(concern('10.1.0.1', '10.2.0.1')).toEqual({ near: '10.1.0.1', far: '10.2.0.1' });
  expect(concern('100.96.0.2', '100.96.0.1')).toMatchObject({ near: '100.96.0.1' });
  expect(concern('fd00::2', 'fd00::1')).toMatchObject({ far: 'fd00::2' });
  // A prefix that two have is of both.
  expect(concern('10.8.0.1', '10.1.0.1')).toMatchObject({ far: '10.8.0.1' });
});

test.each([
  ['10.2.3.1', '10.1.0.1', 'not-yours'],
  ['10.1.0.2', '10.1.0.1', 'not-yours'],
  ['100.96.0.3', '10.1.0.1', 'not-yours'],
  ['192.0.2.1', '10.1.0.1', 'not-yours'],
  ['10.2.0.1', '10.2.3.1', 'not-ours'],
  ['10.2.0.1', '10.9.0.1', 'not-ours'],
  ['10.2.0.1', '127.0.0.1', 'not-ours'],
  ['10.2.0.1', '10.2.0.2', 'not-ours'],
  ['10.2.0.1', '192.0.2.1', 'not-ours'],
])('%s → %s is %s', (source, destination, refused) => {
  expect(concern(source, destination)).toEqual({ refused });
});

test('two families are no flow', () => {
  expect(concern('10.2.0.1', 'fd00::1')).toBeUndefined();
});

test('of whatever is asked, one end is ours and the other the asker’s, or it is refused', () => {
  const ours = /^(10\.1\.0\.|100\.96\.0\.1$)/;
  const askers = /^(10\.2\.(?!3\.)|10\.8\.0\.|100\.96\.0\.2$)/;
  const octet = fc.integer({ min: 0, max: 12 });
  const address = fc.oneof(
    fc.tuple(octet, octet, octet).map((parts) => `10.${parts.join('.')}`),
    octet.map((n) => `100.96.0.${n}`),
  );
  fc.assert(
    fc.property(address, address, (source, destination) => {
      const found = concern(source, destination);
      const isOne =
        (askers.test(source) && ours.test(destination)) ||
        (askers.test(destination) && ours.test(source));
      expect(found !== undefined && 'near' in found).toBe(isOne);
      if (found !== undefined && 'near' in found) {
        expect(ours.test(found.near)).toBe(true);
        expect(askers.test(found.far)).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});
