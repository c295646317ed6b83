/** Questions: what is understood, and what is refused with which words. */
import { describe, expect, test } from 'vitest';
import { readQuestion, understand } from '../../../../src/gateway/explain/asked-flow.ts';
import { netmap } from '../mesh/netmaps.ts';

const map = netmap({ peers: [{ n: 2 }] });
const ask = (question: unknown) => understand(readQuestion(question), map);

describe('understood', () => {
  test('a ping, unless it is said', () => {
    expect(ask({ source: '10.1.0.10', destination: '10.2.0.10' })).toMatchObject({
      ...{ source: '10.1.0.10', service: 'icmp echo-request', serviceGiven: false },
      flow: { protocol: 1, port: 8 },
    });
    expect(ask({ source: 'FD01:0::10', destination: 'fd02::10' })).toMatchObject({
      ...{ source: 'fd01::10', flow: { protocol: 58, port: 128 } },
    });
  });

  test('a service, and one without ports', () => {
    const ends = { source: '10.1.0.10', destination: '10.2.0.10' };
    expect(ask({ ...ends, protocol: 'udp', port: 53 })).toMatchObject({
      ...{ service: 'udp 53', serviceGiven: true, flow: { protocol: 17, port: 53 } },
    });
    const gre = ask({ ...ends, protocol: 'gre' });
    expect(gre.service).toBe('gre');
    expect(gre.flow.port).toBeUndefined();
  });

  test('connectors for their mesh IPs, of the other address’s family', () => {
    expect(ask({ source: 'home', destination: 'site-2' })).toMatchObject({
      ...{ source: '100.96.0.1', destination: '100.96.0.2' },
    });
    expect(ask({ source: 'fd01::10', destination: 'site-2' }).destination).toBe('fd00::2');
  });
});

test.each([
  [{}, 'USAGE', /source/],
  [null, 'USAGE', /question/i],
  ['x'.repeat(100), 'USAGE', /./],
  [{ source: '10.1.0.10', destination: 'x'.repeat(65) }, 'USAGE', /destination/],
  [{ source: '10.1.0.10', destination: '10.2.0.10', extra: 1 }, 'USAGE', /./],
  [{ source: '10.1.0.10', destination: 'nobody' }, 'NOT_FOUND', /"nobody" is neither/],
  [{ source: '10.1.0.10', destination: 'fd02::10' }, 'USAGE', /IPv4 and the other is IPv6/],
  [{ source: '10.1.0.10', destination: '10.2.0.10', protocol: 'tcp' }, 'USAGE', /needs a --port/],
  [{ source: '10.1.0.10', destination: '10.2.0.10', port: 5 }, 'USAGE', /--proto tcp or udp/],
  [{ source: '10.1.0.10', destination: '10.2.0.10', protocol: 'gre', port: 5 }, 'USAGE', /A port/],
])('refused: %j', (question, code, message) => {
  expect(() => ask(question)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
});
