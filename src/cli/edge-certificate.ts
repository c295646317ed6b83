/** `connector edge certificate next | switch | cancel`: another certificate without cutting gateways off. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { CausewayError } from '../errors.ts';
import { NO_PIN } from './edge-status.ts';
import { print } from './output.ts';
import { formatFields } from './table.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface NextOptions extends EdgeOptions {
  readonly certificate?: string;
}

interface SwitchOptions extends EdgeOptions {
  readonly force?: true;
}

export function edgeCertificateCommand(): Command {
  return new Command('certificate')
    .description('change the certificate without cutting gateways off')
    .addCommand(
      edgeCommand('next')
        .description('announce the next certificate to all gateways; it is not used yet')
        .option('--certificate <file>', 'yours, in PEM (default: a new self-signed one)')
        .action(next),
    )
    .addCommand(
      edgeCommand('switch')
        .description("use the edge's own next certificate from now on")
        .option('--force', 'also when gateways are away that may not know it')
        .action(switchOver),
    )
    .addCommand(edgeCommand('cancel').description('announce it no more').action(cancel));
}

async function next(options: NextOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { edgeViewSchema } = await import('../control/operator-api.ts');
  const { certificate: path } = options;
  const body = path === undefined ? {} : { certificate: await readCertificate(path) };
  const edge = await openEdge(options).call('POST', '/v1/certificate/next', edgeViewSchema, body);
  const then =
    path === undefined
      ? 'when all are connected: `connector edge certificate switch`, or a start with --self-signed where the edge runs with --certificate'
      : 'when all are connected: start the edge with it by --certificate and --key';
  print(options, edge, () =>
    formatFields([
      ['TLS pin', edge.tlsPin ?? NO_PIN],
      ['next TLS pin', edge.nextTlsPin ?? NO_PIN],
      ['gateways', 'that are connected know it now, the others when they come back'],
      ['next', then],
    ]),
  );
}

async function switchOver(options: SwitchOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { edgeViewSchema } = await import('../control/operator-api.ts');
  const body = { force: options.force };
  const edge = await openEdge(options).call('POST', '/v1/certificate/switch', edgeViewSchema, body);
  print(options, edge, () => formatFields([['TLS pin', edge.tlsPin ?? NO_PIN]]));
}

async function cancel(options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { edgeViewSchema } = await import('../control/operator-api.ts');
  const edge = await openEdge(options).call('DELETE', '/v1/certificate/next', edgeViewSchema);
  print(options, edge, () => formatFields([['TLS pin', edge.tlsPin ?? NO_PIN]]));
}

/**
 * The first certificate of the file alone: a private key beside it goes nowhere.
 *
 * @throws CausewayError FILE_ACCESS, CERTIFICATE
 */
async function readCertificate(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const message = `${path} cannot be read: ${(error as Error).message}.`;
    throw new CausewayError('FILE_ACCESS', message, { cause: error });
  }
  const match = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(text);
  if (match !== null) return `${match[0]}\n`;
  throw new CausewayError('CERTIFICATE', `${path} is no certificate in PEM: give another file.`);
}
