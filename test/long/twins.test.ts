/** Two machines with copies of one identity: both are told, by the edge, and say so (lab/mesh-lab.ts). */
import { cp } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { netnsSuite } from '../netns/suite.ts';

netnsSuite('a copied identity', ['nft'], () => {
  test('each of the two machines says that there is the other', { timeout: 120_000 }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    const [a, b] = mesh.sites as [Site, Site];
    await mesh.startEdge();
    await a.up('--token', await mesh.create(a));
    const filter = (path: string): boolean => !path.endsWith('lock');
    await cp(a.stateDirectory, b.stateDirectory, { recursive: true, filter });
    await b.up();
    const deadline = Date.now() + 60_000;
    const says = async (site: Site): Promise<boolean> => {
      const { problems } = await site.status();
      return problems.some((text) =>
        text.includes('(the edge sees 198.51.1.2 and 198.51.2.2): each takes'),
      );
    };
    for (const site of [a, b]) {
      while (!(await says(site)) && Date.now() < deadline) await delay(200);
      expect(await says(site)).toBe(true);
    }
  });
});
