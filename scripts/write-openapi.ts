/** `node scripts/write-openapi.ts`: writes docs/openapi.json, which a test compares with the code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiEndpoints } from '../src/edge/api/endpoints.ts';
import { describeApi } from '../src/edge/api/openapi.ts';
import type { EdgeServices } from '../src/edge/services.ts';

/** The description of all endpoints; none of them is called. */
export function apiDescription(): string {
  const services = { registry: { view: {} } } as EdgeServices;
  return `${JSON.stringify(describeApi(apiEndpoints(services)), null, 2)}\n`;
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, '../docs/openapi.json'), apiDescription());
}
