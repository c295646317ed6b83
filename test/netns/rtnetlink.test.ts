/**
 * Our decoding of route netlink against `ip`, which has its own: one namespace, links made, changed
 * and removed in it.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Lab } from '../../lab/lab.ts';
import { netnsSuite } from './suite.ts';

const PROBE = join(import.meta.dirname, 'netlink-probe.ts');

interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly flags: readonly string[];
}

netnsSuite('rtnetlink', [], () => {
  test('links, addresses and routes as ip sees them', async () => {
    await using lab = new Lab();
    const host = await lab.namespace('host');
    await host.ip('link add one mtu 1410 type veth peer name two', 'link set one up');
    const probe = host.start([process.execPath, PROBE, 'one']);
    const event = async (...parts: string[]): Promise<Record<string, unknown>> => {
      const pattern = new RegExp(parts.map((part) => `(?=.*${part})`).join(''));
      return JSON.parse((await probe.line(pattern)).input) as Record<string, unknown>;
    };

    const asked = await event('"kind":"link"', '"name":"one"');
    const [one] = JSON.parse(await host.run(['ip', '-j', 'link', 'show', 'one'])) as [IpLink];
    expect(asked).toEqual({
      kind: 'link',
      index: one.ifindex,
      name: one.ifname,
      up: one.flags.includes('UP'),
      running: one.flags.includes('LOWER_UP'),
      mtu: one.mtu,
    });
    // ENODEV, for the link that is not there.
    expect(await event('"kind":"error"', '"sequence":2')).toMatchObject({ errno: 19 });

    await host.ip('link set one mtu 1300', 'link set one down');
    await event('"name":"one"', '"mtu":1300', '"up":false');

    await host.ip('link set one up', 'link set two up', 'address add 10.5.0.1/24 dev one');
    expect(await event('"kind":"address"', '"address":.10,5,0,1.')).toMatchObject({
      index: one.ifindex,
      family: 4,
      length: 24,
    });
    // The connected subnet, made by the kernel, in the main table.
    expect(await event('"kind":"route"', '"address":.10,5,0,0.', '"length":24')).toMatchObject({
      table: 254,
      protocol: 2,
      interfaceIndex: one.ifindex,
    });
    await host.ip('route add fd00:5::/32 dev one table 52000 proto 167');
    expect(await event('"kind":"route"', '"length":32', '"table":52000')).toMatchObject({
      family: 6,
      protocol: 167,
      interfaceIndex: one.ifindex,
    });
    await host.ip('route del fd00:5::/32 dev one table 52000');
    await event('"kind":"route-removed"', '"length":32', '"table":52000');

    await host.ip('link delete one');
    expect(await event('"kind":"link-removed"', '"name":"one"')).toMatchObject({
      index: one.ifindex,
    });
  });
});
