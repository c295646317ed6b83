/** What one host asks of the other: each check is a row of the table. */
import type { Namespace } from '../lab/namespace.ts';
import { ping } from '../lab/ping.ts';
import { pingedBy } from '../lab/seen.ts';
import { ServiceClient } from '../lab/service.ts';

/** A host and its address in each family. */
export interface Site {
  readonly name: string;
  readonly host: Namespace;
  readonly address: Readonly<Record<4 | 6, string>>;
}

export interface Check {
  readonly sent: string;
  /** Source addresses as the far side saw them. */
  readonly seen: readonly string[];
  /** The address that the far side should have seen. */
  readonly source: string;
  readonly figure: string;
  readonly passed: boolean;
}

export const SERVICE_PORT = 7;
const PINGS = 20;
const BULK_BYTES = 100_000_000;

function milliseconds(value: number): string {
  return `${value.toFixed(2)} ms`;
}

async function checkPing(from: Site, to: Site, family: 4 | 6): Promise<Omit<Check, 'source'>> {
  const times = await ping(from.host, to.address[family], PINGS);
  const seen = await pingedBy(to.host, family);
  const mean = times.reduce((a, b) => a + b, 0) / times.length;
  return {
    sent: `${PINGS} pings`,
    seen,
    figure: times.length > 0 ? milliseconds(mean) : `${times.length} answers`,
    passed: times.length === PINGS,
  };
}

async function checkService(
  client: ServiceClient,
  transport: 'tcp' | 'udp',
): Promise<Omit<Check, 'source'>> {
  const { from, milliseconds: took } = await client.who(transport);
  const sent = transport === 'tcp' ? 'TCP request' : 'UDP request';
  return { sent, seen: [from], figure: milliseconds(took), passed: true };
}

async function checkBulk(client: ServiceClient): Promise<Omit<Check, 'source'>> {
  await client.echo(1_000_000);
  const { from } = await client.who('tcp');
  const { mbits } = await client.bulk(BULK_BYTES);
  const figure =
    mbits >= 1000 ? `${(mbits / 1000).toFixed(2)} Gbit/s` : `${mbits.toFixed(0)} Mbit/s`;
  return { sent: `TCP, ${BULK_BYTES / 1e6} MB`, seen: [from], figure, passed: true };
}

/** All checks in one direction and family, one after the other; yields each when it is done. */
export async function* check(from: Site, to: Site, family: 4 | 6): AsyncGenerator<Check> {
  const client = new ServiceClient(from.host, to.address[family], SERVICE_PORT);
  const source = from.address[family];
  const steps: [string, () => Promise<Omit<Check, 'source'>>][] = [
    ['ping', () => checkPing(from, to, family)],
    ['TCP request', () => checkService(client, 'tcp')],
    ['UDP request', () => checkService(client, 'udp')],
    ['TCP bulk', () => checkBulk(client)],
  ];
  for (const [sent, step] of steps) {
    try {
      const done = await step();
      const genuine = done.seen.length === 1 && done.seen[0] === source;
      yield { ...done, source, passed: done.passed && genuine };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      process.stderr.write(`${reason}\n`);
      yield { sent, seen: [], source, figure: 'failed', passed: false };
    }
  }
}
