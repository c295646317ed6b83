/**
 * Resident memory of the edge with 1,000 connectors connected and 10,000 routes, after every one of
 * them was sent a whole netmap.
 */
import { readFileSync } from 'node:fs';
import { LoadedEdge } from './loaded-edge.ts';
import { note } from './measure.ts';
import type { Figure } from './options.ts';

const BUDGET = 400;

/** Megabytes (10^6). */
function memoryOf(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(status)![1]) * 1_024) / 1e6;
}

export async function edgeMemory(): Promise<Figure[]> {
  await using loaded = await LoadedEdge.open();
  const { pid } = loaded.edge;
  note(`  ${memoryOf(pid, 'VmRSS').toFixed(0)} MB with nobody connected`);
  await loaded.connect(true);
  const ours = memoryOf(pid, 'VmRSS');
  note(`  at most ${memoryOf(pid, 'VmHWM').toFixed(0)} MB while they connected`);
  return [{ part: '', ours, unit: 'MB', budget: { most: BUDGET }, against: 'value' }];
}
