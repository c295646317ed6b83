/** `connector capture`: decrypted packets with direction, peer and verdict, shown or into a file. */
import { release } from 'node:os';
import { Command } from 'commander';
import { DROP_REASONS } from '../drops.ts';
import { CausewayError } from '../errors.ts';
import type { CaptureClient, NamedPacket } from '../gateway/capture/capture-client.ts';
import {
  type CaptureDescription,
  pcapngHeader,
  pcapngPackets,
  pcapngStatistics,
} from '../gateway/capture/pcapng.ts';
import { openPrivateOutput } from '../gateway/private-output.ts';
import { numberFrom } from './number-argument.ts';
import { count } from './output.ts';
import { packetLine, summary, verdictText } from './packet-line.ts';
import { packageVersion } from './version.ts';

/** Of a packet there is no more. */
const SNAPLEN = { least: 20, most: 65_535 } as const;

interface Options {
  readonly interface?: string;
  readonly peer?: string;
  readonly filter?: string;
  readonly write?: string;
  readonly count?: number;
  readonly duration?: number;
  readonly snaplen: number;
  readonly json?: true;
}

export function captureCommand(): Command {
  return new Command('capture')
    .description('show or record decrypted packets: direction, peer, verdict')
    .option('--peer <name>', 'only packets of this connector')
    .option('--filter <expression>', 'only these, as `tcp port 443 and net 10.2.0.0/16`')
    .option('--write <file.pcapng>', 'into a file for Wireshark, - for standard output')
    .option('-c, --count <n>', 'end after so many packets', numberFrom(1, 1e9))
    .option('--duration <seconds>', 'end after so many seconds', numberFrom(1, 1e6))
    .option(
      '--snaplen <bytes>',
      'of each packet',
      numberFrom(SNAPLEN.least, SNAPLEN.most),
      SNAPLEN.most,
    )
    .option('--interface <name>', 'the gateway or tunnel on this interface')
    .option('--json', 'one JSON object a packet')
    .addHelpText(
      'after',
      `
Examples:
  connector capture --filter 'icmp or tcp port 443'
  connector capture --peer plant --write plant.pcapng --duration 60
  connector capture --write - | tshark -r - -T fields -e ip.src -e frame.comment`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  if (options.json && options.write !== undefined) {
    throw new CausewayError('USAGE', 'Give --json or --write, not both.');
  }
  if (options.write === '-' && process.stdout.isTTY) {
    const text =
      'A capture file is nothing for a terminal: write into a file, or a pipe to tshark.';
    throw new CausewayError('USAGE', text);
  }
  const { CaptureClient } = await import('../gateway/capture/capture-client.ts');
  const { filter, peer, snaplen } = options;
  const client = await CaptureClient.open(options.interface, { filter, peer, snaplen });
  const sink = await openSink(options, client.interfaceName).catch((error: unknown) => {
    client.destroy();
    throw error;
  });
  await record(client, sink, options);
}

async function record(client: CaptureClient, sink: Sink, options: Options): Promise<void> {
  const start = Date.now();
  const stop = (): void => client.stop();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, stop);
  const timer =
    options.duration === undefined ? undefined : setTimeout(stop, options.duration * 1_000);
  const most = options.count ?? Number.POSITIVE_INFINITY;
  let written = 0;
  try {
    process.stderr.write(`capturing on ${client.interfaceName}; end with Ctrl-C\n`);
    for await (const packets of client.packets()) {
      if (written >= most) continue;
      const wanted = packets.slice(0, most - written);
      await sink.packets(wanted);
      written += wanted.length;
      if (written >= most) stop();
    }
    const { captured = written, lost = 0 } = client.totals ?? {};
    await sink.end({ start, end: Date.now(), received: captured + lost, lost, written });
    const where =
      options.write === undefined || options.write === '-' ? '' : ` in ${options.write}`;
    const missing =
      lost === 0
        ? ''
        : `; ${lost} lost, for this end did not keep up: a filter or a smaller --snaplen helps`;
    process.stderr.write(`${count(written, 'packet')}${where}${missing}\n`);
    if (client.totals === undefined) process.stderr.write('connector: the daemon has ended\n');
  } catch (error) {
    client.destroy();
    // Whoever reads our output has seen enough.
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  } finally {
    clearTimeout(timer);
    for (const signal of signals) process.removeListener(signal, stop);
  }
}

/** Where packets go. */
interface Sink {
  packets(packets: readonly NamedPacket[]): Promise<void>;
  end(totals: Parameters<typeof pcapngStatistics>[0]): Promise<void>;
}

async function openSink(options: Options, interfaceName: string): Promise<Sink> {
  const { write, json } = options;
  if (write === undefined) {
    return {
      packets: (packets) => {
        const line = json ? jsonLine : packetLine;
        return output(packets.map((packet) => `${line(packet)}\n`).join(''));
      },
      end: async () => {},
    };
  }
  const file = write === '-' ? undefined : (await openPrivateOutput(write)).file;
  const put = async (bytes: Uint8Array): Promise<void> => {
    if (file === undefined) return output(bytes);
    try {
      await file.writeFile(bytes);
    } catch (error) {
      const message = `${write} takes no more: ${(error as Error).message}. It has what came before.`;
      throw new CausewayError('FILE_ACCESS', message, { cause: error });
    }
  };
  const about: CaptureDescription = {
    application: `connector ${packageVersion()}`,
    os: `Linux ${release()}`,
    interfaceName,
    interfaceDescription: 'decrypted packets; verdicts are those of the data plane',
    filter: options.filter,
    snaplen: options.snaplen,
  };
  await put(pcapngHeader(about));
  return {
    packets: (packets) => {
      return put(
        pcapngPackets(packets.map((packet) => ({ ...packet, comment: commentOf(packet) }))),
      );
    },
    end: async (totals) => {
      await put(pcapngStatistics(totals));
      await file?.close();
    },
  };
}

/** Words for people that programs can take apart: `direction=in peer=b path=direct verdict=accepted`. */
export function commentOf({ direction, peerName, path, verdict }: NamedPacket): string {
  const words = [`direction=${direction}`, `peer=${peerName ?? '-'}`, `path=${path ?? '-'}`];
  if (verdict === 'accepted' || verdict === 'waiting')
    return [...words, `verdict=${verdict}`].join(' ');
  return `${words.join(' ')} verdict=dropped reason=${verdict} (${DROP_REASONS[verdict]})`;
}

function jsonLine(packet: NamedPacket): string {
  return JSON.stringify({
    time: new Date(packet.time).toISOString(),
    direction: packet.direction,
    peer: packet.peerName ?? null,
    path: packet.path ?? null,
    verdict: verdictText(packet),
    length: packet.length,
    packet: summary(packet),
  });
}

/** Waits for a reader that is slow; rejects when it is gone. */
function output(bytes: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
