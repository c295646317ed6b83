/** From `connector up` with a token to the first ping answered by the other site, across the relay. */
import { MeshLab, type Site } from '../lab/mesh-lab.ts';
import { median, note } from './measure.ts';
import type { Figure, Options } from './options.ts';

/** Seconds between probes: their first answer is late by half of that on average. */
const INTERVAL = 0.01;

/** Milliseconds; probes run from before the start. */
async function measureJoin(mesh: MeshLab, a: Site, b: Site): Promise<number> {
  const token = await mesh.create(a);
  const probe = a.host.start(['ping', '-n', '-D', '-i', String(INTERVAL), b.address[4]]);
  const started = Date.now();
  const up = a.up('--token', token);
  const [, answered] = await probe.line(/^\[(\d+\.\d+)\] .* time=/, 60);
  await up;
  await probe.stop('SIGINT');
  await a.forget();
  await mesh.connector('delete', a.name);
  return Number(answered) * 1_000 - started;
}

export async function join(options: Options): Promise<Figure[]> {
  await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
  await mesh.startEdge();
  const [a, b] = mesh.sites as [Site, Site];
  await b.up('--token', await mesh.create(b));
  const times: number[] = [];
  for (let i = 0; i < options.pairs; i++) {
    times.push(await measureJoin(mesh, a, b));
    note(`  join ${i + 1}: ${Math.round(times.at(-1)!)} ms`);
  }
  const figure: Figure = {
    part: '',
    ours: median(times),
    unit: 'ms',
    budget: { most: 1_500 },
    against: 'value',
  };
  return [figure];
}
