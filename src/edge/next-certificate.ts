/**
 * The certificate that is announced before it is used, so that gateways which know exactly the pin in
 * use hear of the next one in time. In the data directory:
 *
 *   next.crt   what is announced
 *   next.key   its key, if it is our own next one; otherwise the operator has the key, and starts the
 *              edge with it when the time has come
 *
 * What is announced and in use is announced no more.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readPrivateFile, writePrivateFile } from '../control/node/private-file.ts';
import { CausewayError } from '../errors.ts';
import {
  type CertificateFiles,
  describeCertificate,
  type EdgeCertificate,
  isKeyOf,
  loadCertificate,
  makeSelfSigned,
  ownFiles,
} from './certificate.ts';

/** What gateways are told to accept; without `nextTlsPin` nothing is announced. */
export interface EdgePins {
  readonly tlsPin: string | null;
  readonly nextTlsPin: string | null | undefined;
}

export interface CertificatesOptions {
  /** The data directory. */
  readonly directory: string;
  /** The operator's certificate; null = our own. */
  readonly files: CertificateFiles | null;
  /** Host names and addresses for certificates of our own. */
  readonly names: readonly string[];
  readonly now: () => Date;
}

/** The certificate in use and the next one. */
export class EdgeCertificates {
  readonly #options: CertificatesOptions;
  #current: EdgeCertificate;
  #next: string | null | undefined;
  #changing: Promise<unknown> = Promise.resolve();
  /** Told of a certificate that is to be used from now on. */
  onSwitch: (certificate: EdgeCertificate) => void = () => {};

  private constructor(options: CertificatesOptions, current: EdgeCertificate) {
    this.#options = options;
    this.#current = current;
  }

  /** @throws CausewayError CERTIFICATE, FILE_ACCESS */
  static async open(options: CertificatesOptions): Promise<EdgeCertificates> {
    const { directory, files, names, now } = options;
    if (files === null) await finishSwitch(directory);
    const current = await loadCertificate(directory, files, names, now());
    const certificates = new EdgeCertificates(options, current);
    const path = nextFiles(directory).certificate;
    const text = await readPrivateFile(path);
    if (text === undefined) return certificates;
    const { pin } = describeCertificate(text, path, now());
    if (pin === current.pin) await removeNext(directory);
    else certificates.#next = pin;
    return certificates;
  }

  get current(): EdgeCertificate {
    return this.#current;
  }

  get pins(): EdgePins {
    return { tlsPin: this.#current.pin, nextTlsPin: this.#next };
  }

  /**
   * Announces a certificate instead of what was announced before.
   *
   * @param given in PEM, the operator's; undefined = our own, made now if need be
   * @throws CausewayError CERTIFICATE, FILE_ACCESS
   */
  announce(given: string | undefined): Promise<EdgePins> {
    return this.#serially(async () => {
      const { directory, files, names, now } = this.#options;
      const next = nextFiles(directory);
      if (given === undefined && files === null) {
        await this.#withdraw();
        const { certificate } = await makeSelfSigned(next, names, now());
        this.#next = describeCertificate(certificate, next.certificate, now()).pin;
        return;
      }
      // Beside the operator's, our own is not in use: it is what --self-signed goes back to.
      const text = given ?? (await loadCertificate(directory, null, names, now())).certificate;
      const { pin } = describeCertificate(text, 'what is to be announced', now());
      if (pin === this.#current.pin) {
        const why = pin === null ? 'an authority vouches for both' : 'it has the key in use';
        const message = `Gateways accept this certificate already (${why}): start the edge with it, without announcing it.`;
        throw new CausewayError('CERTIFICATE', message);
      }
      await this.#withdraw();
      await writePrivateFile(next.certificate, text);
      this.#next = pin;
    });
  }

  /** @throws CausewayError FILE_ACCESS */
  cancel(): Promise<EdgePins> {
    return this.#serially(async () => {
      await this.#withdraw();
      this.#next = undefined;
    });
  }

  /**
   * Uses our own next certificate from now on.
   *
   * @throws CausewayError CERTIFICATE, FILE_ACCESS
   */
  switch(): Promise<EdgePins> {
    return this.#serially(async () => {
      const { directory, files, names, now } = this.#options;
      const next = nextFiles(directory);
      const certificate = await readPrivateFile(next.certificate);
      const key = await readPrivateFile(next.key);
      if (certificate === undefined || this.#next === undefined) {
        const message =
          'No next certificate is announced: `connector edge certificate next` does that.';
        throw new CausewayError('CERTIFICATE', message);
      }
      if (files !== null || key === undefined) {
        const message =
          'The announced certificate takes a restart of the edge: give it with --certificate and --key, or go back to its own with --self-signed.';
        throw new CausewayError('CERTIFICATE', message);
      }
      const own = ownFiles(directory);
      // The key first, as `finishSwitch` expects.
      await writePrivateFile(own.key, key);
      await writePrivateFile(own.certificate, certificate);
      await removeNext(directory);
      this.#current = await loadCertificate(directory, null, names, now());
      this.#next = undefined;
      this.onSwitch(this.#current);
    });
  }

  /**
   * Removes what is announced. If a `switch` failed half-way, its key is in the place of the one in
   * use, which is nowhere else: that is put back first.
   */
  async #withdraw(): Promise<void> {
    const { directory, files } = this.#options;
    if (files === null && (await isSwitching(directory))) {
      const own = ownFiles(directory);
      await writePrivateFile(own.certificate, this.#current.certificate);
      await writePrivateFile(own.key, this.#current.key);
    }
    await removeNext(directory);
  }

  #serially(step: () => Promise<void>): Promise<EdgePins> {
    const done = this.#changing.then(step).then(() => this.pins);
    this.#changing = done.catch(() => {});
    return done;
  }
}

function nextFiles(directory: string): CertificateFiles {
  return { certificate: join(directory, 'next.crt'), key: join(directory, 'next.key') };
}

/** The certificate first: a key without it counts as nothing. */
async function removeNext(directory: string): Promise<void> {
  const { certificate, key } = nextFiles(directory);
  try {
    await rm(certificate, { force: true });
    await rm(key, { force: true });
  } catch (error) {
    const message = `${certificate} cannot be removed: ${(error as Error).message}.`;
    throw new CausewayError('FILE_ACCESS', message, { cause: error });
  }
}

/** Whether a `switch` was cut off: the key is the next one's already. */
async function isSwitching(directory: string): Promise<boolean> {
  const key = await readPrivateFile(ownFiles(directory).key);
  const next = await readPrivateFile(nextFiles(directory).certificate);
  return key !== undefined && next !== undefined && isKeyOf(key, next);
}

/** After a crash in the middle of `switch` the key is the next one's and the certificate may not be. */
async function finishSwitch(directory: string): Promise<void> {
  if (!(await isSwitching(directory))) return;
  const next = await readPrivateFile(nextFiles(directory).certificate);
  await writePrivateFile(ownFiles(directory).certificate, next!);
}
