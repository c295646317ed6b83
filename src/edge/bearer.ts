/** New bearer secrets (control/secrets.ts): shown once, never kept; the registry has their SHA-256. */
import { randomBytes } from 'node:crypto';
import { BEARER_SIZE, type BearerKind, bearerText } from '../control/secrets.ts';

export function createBearer(kind: BearerKind): string {
  return bearerText(kind, new Uint8Array(randomBytes(BEARER_SIZE)));
}
