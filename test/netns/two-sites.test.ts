/** Two sites joined by `connector tunnel up` alone, from wg-quick files (lab/two-sites.ts). */
import { expect, test } from 'vitest';
import { type Check, check, SERVICE_PORT } from '../../demo/checks.ts';
import { startService } from '../../lab/service.ts';
import { CONNECTOR, crossed, TwoSites } from '../../lab/two-sites.ts';
import { networkState } from './network-state.ts';
import { netnsSuite } from './suite.ts';

netnsSuite('two sites', ['nft'], () => {
  test('every kind of traffic, both ways, with its true source', async () => {
    await using sites = await TwoSites.open();
    const both = [sites.a, sites.b] as const;
    const before = await Promise.all(both.map(({ gateway }) => networkState(gateway)));
    await Promise.all(both.map(({ host }) => startService(host, SERVICE_PORT)));
    await Promise.all(
      both.map(({ gateway, file }) => gateway.run([CONNECTOR, 'tunnel', 'up', file])),
    );
    const failed: Check[] = [];
    for (const [from, to] of [both, [sites.b, sites.a] as const]) {
      for (const family of [4, 6] as const) {
        for await (const done of check(from, to, family)) if (!done.passed) failed.push(done);
      }
    }
    expect(failed).toEqual([]);
    expect(await crossed(sites.internet)).toMatchObject({ other: 0 });
    await Promise.all(
      both.map(({ gateway, file }) => gateway.run([CONNECTOR, 'tunnel', 'down', file])),
    );
    const after = await Promise.all(both.map(({ gateway }) => networkState(gateway)));
    expect(after).toEqual(before);
  });
});
