/**
 * What is left of one TCP stream while a third host floods the receiving daemon's UDP port with
 * 20,000 forged transport datagrams and 2,000 forged initiations a second. With and without in turn,
 * on the same pair.
 */
import { join } from 'node:path';
import { ours } from '../lab/implementation.ts';
import { connect } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { PORT } from '../lab/tunnel-pair.ts';
import { keyFromBase64 } from '../src/keys.ts';
import { writeForgedInitiations, writeForgedTransport } from './forged-datagrams.ts';
import { measureThroughput } from './iperf.ts';
import { loadProgram } from './load-program.ts';
import { median, note, openPair } from './measure.ts';
import type { Figure, Options } from './options.ts';

const TARGET = '10.8.0.1';
const TRANSPORT_RATE = 20_000;
const INITIATION_RATE = 2_000;

export async function flood(options: Options): Promise<Figure[]> {
  const program = await loadProgram();
  await using pair = await openPair(ours());
  const attacker = await pair.lab.namespace('attacker');
  await connect(
    { namespace: attacker, link: 'eth0', addresses: ['10.8.0.2/24'] },
    { namespace: pair.east, link: 'eth1', addresses: [`${TARGET}/24`] },
  );
  const transport = join(attacker.folder, 'transport');
  const initiations = join(attacker.folder, 'initiations');
  writeForgedTransport(transport);
  writeForgedInitiations(initiations, keyFromBase64(pair.right.keys.publicKey)!);

  const start = (file: string, rate: number, seconds: number): Process =>
    attacker.start([program, 'replay', file, TARGET, `${PORT}`, `${rate}`, `${seconds}`]);

  const seconds = options.seconds ?? 5;
  const rates = { flooded: [] as number[], quiet: [] as number[] };
  const turn = [
    async () => rates.quiet.push(await measureThroughput(pair, seconds)),
    async () => {
      // The stream's start-up second is flooded too.
      const floods = [
        start(transport, TRANSPORT_RATE, seconds + 1.5),
        start(initiations, INITIATION_RATE, seconds + 1.5),
      ];
      rates.flooded.push(await measureThroughput(pair, seconds));
      const sent = await Promise.all(
        floods.map((process) => process.line(/sent (\d+) seconds ([\d.]+)/)),
      );
      const offered = sent.map(([, count, took]) => (Number(count) / Number(took)).toFixed(0));
      note(`  flooded with ${offered.join(' + ')} datagrams/s`);
    },
  ];
  for (let i = 0; i < options.pairs; i++) {
    for (const side of i % 2 === 0 ? turn : turn.toReversed()) await side();
    note(`  pair ${i + 1}: ${rates.flooded[i]!.toFixed(0)} of ${rates.quiet[i]!.toFixed(0)}`);
  }
  const [mine, without] = [median(rates.flooded), median(rates.quiet)];
  const budget = { least: 0.8 };
  return [
    {
      part: '',
      ours: mine,
      peer: without,
      unit: 'Mbit/s',
      budget,
      against: 'ratio',
      reference: 'quiet',
    },
  ];
}
