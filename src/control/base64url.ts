/** base64url without padding (RFC 4648 § 5). */
import { base64ToBytes, bytesToBase64 } from '../bytes.ts';

export function bytesToBase64Url(bytes: Uint8Array): string {
  return bytesToBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Undefined if the text is not what `bytesToBase64Url` writes. */
export function base64UrlToBytes(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const bytes = base64ToBytes(text.replaceAll('-', '+').replaceAll('_', '/'));
  return bytesToBase64Url(bytes) === text ? bytes : undefined;
}
