/**
 * npm run bench                     every benchmark, one table
 * npm run -s bench -- NAME          one of them
 *   --json                          the last line of the output is one JSON object
 *   --pairs N --seconds N           how often and how long (default 5 pairs, each its own length)
 *   --no-peer                       ours alone, for a quick look
 */
import { parseArgs } from 'node:util';
import { missing, ours, stock } from '../lab/implementation.ts';
import { attempt } from '../lab/process.ts';
import { edgeMemory } from './edge-memory.ts';
import { fanout } from './fanout.ts';
import { fanout10k } from './fanout-10k.ts';
import { flood } from './flood.ts';
import { flowLog } from './flow-log.ts';
import { forwarding } from './forwarding.ts';
import { handshakes } from './handshakes.ts';
import { join } from './join.ts';
import { latency } from './latency.ts';
import { lpm } from './lookups.ts';
import { note } from './measure.ts';
import { memory } from './memory.ts';
import { budgetText, type Figure, isMet, margin, type Options, ratioOf } from './options.ts';
import { policy } from './policy.ts';
import { pps } from './pps.ts';
import { relay, relayPps } from './relay.ts';
import { routes100k } from './routes-100k.ts';
import { noble, throughput, throughput4 } from './throughput.ts';

type Benchmark = (options: Options) => Promise<Figure[]>;

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  throughput,
  'throughput-4': throughput4,
  noble,
  pps,
  latency,
  handshakes,
  lpm,
  memory,
  flood,
  relay,
  'relay-pps': relayPps,
  policy,
  'flow-log': flowLog,
  forwarding,
  'routes-100k': routes100k,
  fanout,
  'fanout-10k': fanout10k,
  'edge-memory': edgeMemory,
  join,
};

function number(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  if (value >= 100) return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
  return value.toPrecision(3);
}

const COLUMNS = [22, 10, 10, 7, 14] as const;

function row(cells: readonly string[]): string {
  const [name, ...rest] = cells;
  const padded = rest.map((cell, i) => cell.padStart(COLUMNS[i + 1] ?? 0));
  return [name!.padEnd(COLUMNS[0]), ...padded].join('  ');
}

function tableRow(name: string, figure: Figure): string {
  const { part, ours: mine, peer } = figure;
  const ratio = ratioOf(figure);
  return row([
    part ? `${name} ${part}` : name,
    number(mine),
    peer === undefined ? '' : number(peer),
    ratio === undefined ? '' : ratio.toFixed(2),
    budgetText(figure),
    isMet(figure) ? ' met' : ' missed',
  ]);
}

/** The object of `--json`: of several figures the one that is furthest from its budget. */
function summary(bench: string, figures: readonly Figure[]): object {
  const worst = figures.toSorted((a, b) => margin(a) - margin(b))[0]!;
  const flat = (figure: Figure): object => ({
    ours: figure.ours,
    peer: figure.peer ?? null,
    ratio: ratioOf(figure) ?? null,
    unit: figure.unit,
    budget: budgetText(figure),
    met: isMet(figure),
  });
  const parts = figures.map((figure) => ({ part: figure.part, ...flat(figure) }));
  return {
    bench,
    ...flat(worst),
    met: figures.every(isMet),
    ...(figures.length > 1 ? { parts } : {}),
  };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string' },
    'no-peer': { type: 'boolean', default: false },
  },
});
const options: Options = {
  pairs: Math.max(1, Number(values.pairs)),
  seconds: values.seconds === undefined ? undefined : Number(values.seconds),
  noPeer: values['no-peer'],
};

async function main(): Promise<number> {
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS);
  const unknown = names.find((name) => !(name in BENCHMARKS));
  if (unknown) {
    note(`no benchmark is called ${unknown}: ${Object.keys(BENCHMARKS).join(', ')}`);
    return 2;
  }
  const lack = missing('wg', 'iperf3', 'ping');
  if (lack) {
    note(`bench: ${lack}`);
    return 1;
  }
  const reference = stock();
  if (reference && !options.noPeer) {
    const { stdout } = await attempt([reference.command, '--version']);
    note(`ours: ${ours().command}\npeer: ${reference.command}, ${stdout.split('\n')[0]}`);
  }
  const rows = [row(['', 'ours', 'peer', 'ratio', 'budget', ''])];
  let last = {};
  for (const name of names) {
    note(name);
    const figures = await BENCHMARKS[name]!(options);
    rows.push(...figures.map((figure) => `${tableRow(name, figure)}`));
    last = summary(name, figures);
  }
  process.stdout.write(`${rows.join('\n')}\n`);
  if (values.json) process.stdout.write(`${JSON.stringify(last)}\n`);
  return 0;
}

process.exitCode = await main();
