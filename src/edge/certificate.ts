/**
 * The API's certificate: the operator's, or one of our own made on the first start. Clients know our
 * own, and any other that is its own issuer, by a pin of its public key (SHA-256 of the SPKI, RFC 7469
 * § 2.4); for all others an authority vouches.
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { readPrivateFile, writePrivateFile } from '../control/node/private-file.ts';
import { CausewayError } from '../errors.ts';

export interface EdgeCertificate {
  /** PEM, with its chain. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** Hexadecimal; null = an authority vouches. */
  readonly pin: string | null;
  readonly expires: Date;
}

/** Paths: the operator's, or ours. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Where our own is. */
export function ownFiles(directory: string): CertificateFiles {
  return { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') };
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
  const own = ownFiles(directory);
  const paths = files ?? own;
  let certificate = await readPrivateFile(paths.certificate);
  let key = await readPrivateFile(paths.key);
  if (files === null && (certificate === undefined || key === undefined)) {
    ({ certificate, key } = await makeSelfSigned(own, names, now));
  }
  if (certificate === undefined || key === undefined) {
    const missing = certificate === undefined ? paths.certificate : paths.key;
    throw new CausewayError('FILE_ACCESS', `${missing} does not exist: give its right path.`);
  }
  return checkCertificate(certificate, key, paths, now);
}

/** Makes a self-signed pair and writes it, both files in PEM. */
export async function makeSelfSigned(
  files: CertificateFiles,
  names: readonly string[],
  now: Date,
): Promise<{ readonly certificate: string; readonly key: string }> {
  const { createSelfSigned } = await import('./self-signed.ts');
  const made = await createSelfSigned(names, now);
  // The key first: without the certificate the pair counts as not made yet.
  await writePrivateFile(files.key, made.key);
  await writePrivateFile(files.certificate, made.certificate);
  return made;
}

function checkCertificate(
  certificate: string,
  key: string,
  paths: CertificateFiles,
  now: Date,
): EdgeCertificate {
  const described = describeCertificate(certificate, paths.certificate, now);
  if (!isKeyOf(key, certificate)) {
    throw unusable(`${paths.key} is not the private key of ${paths.certificate}`);
  }
  return { certificate, key, ...described };
}

/**
 * By what gateways know a certificate, and how long.
 *
 * @param certificate PEM
 * @param name for the message
 * @throws CausewayError CERTIFICATE if it is none, or has expired and no pin stands for it
 */
export function describeCertificate(
  certificate: string,
  name: string,
  now: Date,
): Pick<EdgeCertificate, 'pin' | 'expires'> {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
  } catch (error) {
    throw unusable(`${name} is no certificate in PEM`, error);
  }
  const pin = parsed.issuer === parsed.subject ? spkiPin(parsed) : null;
  const expires = parsed.validToDate;
  // A pin holds beyond the certificate's dates.
  if (pin === null && expires < now) {
    throw unusable(`${name} has expired on ${expires.toISOString()}`);
  }
  return { pin, expires };
}

/** Both in PEM; false as well when one of them is not. */
export function isKeyOf(key: string, certificate: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
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
