/**
 * Bytes of a UAPI connection cut into requests. Sans-IO and bounded: a line is at most
 * `MAX_LINE_LENGTH` characters, and a request at most as many peers and prefixes as a device takes.
 * A wrong request is read to its end all the same, so that the next one is found.
 */
import type { DeviceChange } from '../../wireguard/configuration.ts';
import type { InterfaceIndexOf } from '../endpoint-text.ts';
import { TunnelError } from '../tunnel.ts';
import { SetRequest } from './set-request.ts';

/** The longest line of the protocol, a key in hexadecimal, has 78. */
export const MAX_LINE_LENGTH = 512;

export type UapiRequest =
  | { readonly kind: 'get' }
  | { readonly kind: 'set'; readonly change: DeviceChange }
  | { readonly kind: 'refused'; readonly operation: 'get' | 'set'; readonly error: TunnelError }
  /** The connection is out of step and is to be closed after the answer. */
  | { readonly kind: 'lost'; readonly error: TunnelError };

export class RequestReader {
  readonly #interfaceIndexOf: InterfaceIndexOf;
  readonly #decoder = new TextDecoder('latin1');
  /** Start of a line whose end has not come yet. */
  #partial = '';
  #overlong = false;
  #operation: 'get' | 'set' | undefined;
  #set: SetRequest | undefined;
  #error: TunnelError | undefined;
  #lost = false;

  constructor(interfaceIndexOf: InterfaceIndexOf) {
    this.#interfaceIndexOf = interfaceIndexOf;
  }

  /** Whether the bytes so far end in the middle of a request. */
  get pending(): boolean {
    return this.#operation !== undefined || this.#partial !== '' || this.#overlong;
  }

  /** The requests that these bytes complete. After a `lost` one everything is ignored. */
  push(chunk: Uint8Array): UapiRequest[] {
    const requests: UapiRequest[] = [];
    const text = this.#decoder.decode(chunk);
    let start = 0;
    while (!this.#lost) {
      const end = text.indexOf('\n', start);
      if (end < 0) {
        this.#keep(text.slice(start));
        break;
      }
      this.#keep(text.slice(start, end));
      start = end + 1;
      const request = this.#handleLine(this.#partial, this.#overlong);
      this.#partial = '';
      this.#overlong = false;
      if (request) requests.push(request);
    }
    return requests;
  }

  #keep(part: string): void {
    if (this.#overlong || part === '') return;
    const length = this.#partial.length + part.length;
    if (length > MAX_LINE_LENGTH) {
      this.#overlong = true;
      this.#partial = '';
    } else {
      this.#partial += part;
    }
  }

  #handleLine(line: string, overlong: boolean): UapiRequest | undefined {
    if (this.#operation === undefined) return this.#startRequest(line, overlong);
    if (line === '' && !overlong) return this.#finishRequest(this.#operation);
    if (this.#error !== undefined) return undefined;
    try {
      if (overlong) throw new TunnelError('EINVAL', 'a line is too long');
      if (this.#set === undefined) throw new TunnelError('EINVAL', 'get=1 takes no further line');
      this.#set.handleLine(line);
    } catch (error) {
      if (!(error instanceof TunnelError)) throw error;
      this.#error = error;
    }
    return undefined;
  }

  #startRequest(line: string, overlong: boolean): UapiRequest | undefined {
    if (line === 'get=1') {
      this.#operation = 'get';
    } else if (line === 'set=1') {
      this.#operation = 'set';
      this.#set = new SetRequest(this.#interfaceIndexOf);
    } else if (line !== '' || overlong) {
      // Empty lines between requests are let pass; anything else cannot be told from data.
      this.#lost = true;
      return { kind: 'lost', error: new TunnelError('EPROTO', 'neither get=1 nor set=1') };
    }
    return undefined;
  }

  #finishRequest(operation: 'get' | 'set'): UapiRequest {
    const set = this.#set;
    const error = this.#error;
    this.#operation = undefined;
    this.#set = undefined;
    this.#error = undefined;
    if (error !== undefined) return { kind: 'refused', operation, error };
    return set === undefined ? { kind: 'get' } : { kind: 'set', change: set.finish() };
  }
}
