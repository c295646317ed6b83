/** `connector bugreport`: what somebody needs to find a fault here, in one archive without secrets. */

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CausewayError } from '../../errors.ts';
import { openPrivateOutput } from '../private-output.ts';
import { ownSecrets } from './own-secrets.ts';
import { Redaction } from './redaction.ts';
import { type CollectedItem, collect } from './report-collector.ts';
import { type ReportItem, type ReportScope, reportItems } from './report-items.ts';

export interface BugreportOptions extends ReportScope {
  /** The archive; replaced if it is there. */
  readonly output: string;
  readonly version: string;
  /** Files that hold a secret each. */
  readonly secretFiles: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Bugreport {
  readonly files: readonly string[];
  /** Of the archive. */
  readonly bytes: number;
  /** How many secrets of each kind were taken out. */
  readonly removed: ReadonlyMap<string, number>;
}

/** The directory that everything in the archive is in. */
export const FOLDER = 'causeway-bugreport';

/** @throws CausewayError FILE_ACCESS, COMMAND_MISSING, COMMAND_FAILED; no part of an archive stays then */
export async function writeBugreport(options: BugreportOptions): Promise<Bugreport> {
  const { stateDirectory, secretFiles, environment, version } = options;
  const secrets = await ownSecrets({
    stateDirectory,
    files: [...secretFiles, join(options.edgeDirectory, 'edge.key')],
    configurations: [`/etc/wireguard/${options.interfaceName}.conf`],
    environment,
  });
  const redaction = new Redaction(secrets);
  const collected = await collect([versions(version), ...reportItems(options)], redaction);
  const files = [readme(collected, redaction, version), ...collected];
  const bytes = await writeArchive(files, options.output);
  return { files: files.map(({ name }) => name), bytes, removed: redaction.counts };
}

function versions(version: string): ReportItem {
  const { node, openssl, v8, uv } = process.versions;
  const { platform, arch } = process;
  const text = { causeway: version, node, openssl, v8, uv, platform, arch };
  return { name: 'versions.json', text: () => `${JSON.stringify(text, null, 2)}\n` };
}

function readme(
  collected: readonly CollectedItem[],
  redaction: Redaction,
  version: string,
): CollectedItem {
  const removed = [...redaction.counts].map(([what, count]) => `  ${what}: ${count}`);
  const text = `A report of causeway ${version}, made at ${new Date().toISOString()}.

Removed before anything was written, by value and by form:
${removed.join('\n') || '  (nothing was found)'}
Public keys are cut short.

Still in it, for without them no fault is found: names of hosts, connectors and interfaces, addresses and
routes, our own nftables tables, names and hooks of the others, the service's log. Look through
mesh/connector.toml, service/*/unit.txt and service/*/log.txt before you give it to somebody: a secret
that has no form, as a password in a comment, cannot be known.

${collected.map(({ name, text: { length } }) => `${String(length).padStart(9)}  ${name}`).join('\n')}
`;
  return { name: 'README.txt', text };
}

/** Returns its bytes. The files lie in a directory of our own meanwhile. */
async function writeArchive(files: readonly CollectedItem[], output: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'causeway-bugreport-'));
  try {
    for (const { name, text } of files) {
      const path = join(folder, FOLDER, name);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(path, text, { mode: 0o600 });
    }
    const { file, isFile } = await openPrivateOutput(output);
    try {
      await pack(folder, output, file);
      return (await file.stat()).size;
    } catch (error) {
      if (isFile) await rm(output, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function pack(folder: string, output: string, file: FileHandle): Promise<void> {
  const tar = spawn('tar', ['-czf', '-', '--owner=0', '--group=0', '-C', folder, FOLDER], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  tar.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const { promise: ended, resolve, reject } = Promise.withResolvers<number | null>();
  tar.on('error', reject);
  tar.on('close', resolve);
  ended.catch(() => {});
  await pipeline(tar.stdout, createWriteStream(output, { fd: file.fd, autoClose: false }));
  const code = await ended.catch((error: unknown) => {
    const message = 'The command tar is not here. Install it, on Debian with `apt install tar`.';
    throw new CausewayError('COMMAND_MISSING', message, { cause: error });
  });
  if (code === 0) return;
  throw new CausewayError('COMMAND_FAILED', `tar failed: ${said.trim().split('\n')[0]}.`);
}
