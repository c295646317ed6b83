/**
 * A gateway behind a NAT that gives every flow a random port.
 *
 *      west                          nat                           east
 *   10.77.0.1 wg0 ─ left             masquerade, random ports      right ─ wg0 10.77.0.2
 *             192.168.1.100 ═ veth ═ 192.168.1.1   10.9.0.3 ═ veth ═ 10.9.0.2
 */
import { expect, test } from 'vitest';
import { Device } from '../../lab/device.ts';
import { Lab } from '../../lab/lab.ts';
import { connect } from '../../lab/namespace.ts';
import { reach } from '../../lab/ping.ts';
import { INNER, PORT } from '../../lab/tunnel-pair.ts';
import { interopSuite } from '../netns/suite.ts';

interopSuite('NAT', ({ left, right }) => {
  test('both directions work through it, and after it forgot the mapping', async () => {
    await using lab = new Lab();
    const [west, nat, east] = await lab.namespaces('west', 'nat', 'east');
    await connect(
      { namespace: west, link: 'eth0', addresses: ['192.168.1.100/24'] },
      { namespace: nat, link: 'inside', addresses: ['192.168.1.1/24'] },
    );
    await connect(
      { namespace: nat, link: 'outside', addresses: ['10.9.0.3/24'] },
      { namespace: east, link: 'eth0', addresses: ['10.9.0.2/24'] },
    );
    await west.ip('route add default via 192.168.1.1');
    await nat.forward();
    await nat.nft(`
      table ip nat {
        chain postrouting {
          type nat hook postrouting priority srcnat
          oifname outside masquerade random,fully-random
        }
      }`);
    const [inner, outer] = [await Device.start(west, left), await Device.start(east, right)];
    const allowedIps = [`${INNER.left}/32`, `${INNER.right}/32`];
    await outer.configure(PORT, { publicKey: inner.keys.publicKey, allowedIps });
    await outer.up([`${INNER.right}/24`]);
    await inner.configure(PORT, {
      publicKey: outer.keys.publicKey,
      allowedIps,
      endpoint: `10.9.0.2:${PORT}`,
      keepalive: 1,
    });
    await inner.up([`${INNER.left}/24`]);

    // Nobody sends into the tunnel: the keepalive opens the way in.
    await reach(west, INNER.right);
    await reach(east, INNER.left);
    const before = (await outer.peer(inner.keys.publicKey)).endpoint;
    expect(before).toMatch(/^10\.9\.0\.3:\d+$/);
    expect(before).not.toBe(`10.9.0.3:${PORT}`);

    // A link that goes down takes its masquerade mappings along.
    await nat.ip('link set outside down', 'link set outside up');
    await reach(west, INNER.right);
    await reach(east, INNER.left);
    const after = (await outer.peer(inner.keys.publicKey)).endpoint;
    expect(after).toMatch(/^10\.9\.0\.3:\d+$/);
    expect(after).not.toBe(before);
  });
});
