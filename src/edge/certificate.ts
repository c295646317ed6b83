/**
 * The API's certificate: the operator's, or one of our own made on the first start. Clients know our
 * own, and any other that is its own issuer, by a pin of its public key (SHA-256 of the SPKI, RFC 7469
 * § 2.4); for all others an authority vouches.
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { readPrivateFile, writePrivateFile } from '../control/node/private-file.ts';
import { CausewayError } from '../errors.ts';

const CERTIFICATE_FILE = 'tls.crt';
const KEY_FILE = 'tls.key';

export interface EdgeCertificate {
  /** PEM, with its chain. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** Hexadecimal; null = an authority vouches. */
  readonly pin: string | null;
  readonly expires: Date;
}

/** The operator's files. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Loads the operator's certificate, or loads or makes our own in `directory`.
 *
 * @param names host names and addresses for a certificate of our own
 * @throws CausewayError CERTIFICATE or FILE_ACCESS
 */
export async function loadCertificate(
  directory: string,
  files: CertificateFiles | null,
  names: readonly string[],
  now: Date,
): Promise<EdgeCertificate> {
  const own = { certificate: join(directory, CERTIFICATE_FILE), key: join(directory, KEY_FILE) };
  const paths = files ?? own;
  let certificate = await readPrivateFile(paths.certificate);
  let key = await readPrivateFile(paths.key);
  if (files === null && (certificate === undefined || key === undefined)) {
    const { createSelfSigned } = await import('./self-signed.ts');
    const made = await createSelfSigned(names, now);
    // The key first: without the certificate the pair counts as not made yet.
    await writePrivateFile(own.key, made.key);
    await writePrivateFile(own.certificate, made.certificate);
    ({ certificate, key } = made);
  }
  if (certificate === undefined || key === undefined) {
    const missing = certificate === undefined ? paths.certificate : paths.key;
    throw new CausewayError('FILE_ACCESS', `${missing} does not exist: give its right path.`);
  }
  return checkCertificate(certificate, key, paths, now);
}

function checkCertificate(
  certificate: string,
  key: string,
  paths: CertificateFiles,
  now: Date,
): EdgeCertificate {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
  } catch (error) {
    throw unusable(`${paths.certificate} is no certificate in PEM`, error);
  }
  try {
    if (!parsed.checkPrivateKey(createPrivateKey(key))) throw new Error('another key');
  } catch (error) {
    throw unusable(`${paths.key} is not the private key of ${paths.certificate}`, error);
  }
  const pin = parsed.issuer === parsed.subject ? spkiPin(parsed) : null;
  const expires = parsed.validToDate;
  // A pin holds beyond the certificate's dates.
  if (pin === null && expires < now) {
    throw unusable(`${paths.certificate} has expired on ${expires.toISOString()}`);
  }
  return { certificate, key, pin, expires };
}

/** SHA-256 of the certificate's SubjectPublicKeyInfo in hexadecimal. */
export function spkiPin({ publicKey }: X509Certificate): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex');
}

function unusable(what: string, cause?: unknown): CausewayError {
  return new CausewayError('CERTIFICATE', `${what}: give others with --certificate and --key.`, {
    cause,
  });
}
