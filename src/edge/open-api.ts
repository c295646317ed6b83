/**
 * The API of a running edge: its endpoints, who may use them, and what is measured of them. The
 * libraries for all that are large: loaded when the relay forwards.
 */
import type { Logger } from 'pino';
import type { Store } from '../control/store.ts';
import type { PrivateKey } from '../keys.ts';
import { type ApiServer, createApiServer } from './api/api-server.ts';
import { Authentication } from './api/authentication.ts';
import { apiEndpoints } from './api/endpoints.ts';
import { ChangeLimiter } from './change-limiter.ts';
import { enrolmentCheck } from './enrolment-check.ts';
import { FailureLimiter } from './failure-limiter.ts';
import { createMetrics } from './metrics.ts';
import { Readiness } from './readiness.ts';
import type { RelayProcess } from './relay/relay.ts';
import type { EdgeServices } from './services.ts';

/** What the edge is made of. */
export type EdgeParts = Omit<
  EdgeServices,
  'authentication' | 'changeLimiter' | 'readiness' | 'isProven' | 'now' | 'metrics'
> & { readonly relay: RelayProcess };

export interface OpenApiOptions {
  readonly store: Store;
  /** The edge's WireGuard key. */
  readonly privateKey: PrivateKey;
  readonly log: Logger;
}

export function openApi(
  parts: EdgeParts,
  { store, privateKey, log }: OpenApiOptions,
): Promise<ApiServer> {
  const { registry, relay, presence, streams, version } = parts;
  const { view } = registry;
  const metrics = createMetrics({ view, presence, streams, relay, version });
  const clock = { unix: Date.now, monotonic: () => performance.now() };
  const authentication = new Authentication(view, new FailureLimiter(), clock);
  const services: EdgeServices = {
    ...parts,
    authentication,
    changeLimiter: new ChangeLimiter(),
    readiness: new Readiness({ store, relay, log, now: clock.monotonic }),
    isProven: enrolmentCheck(privateKey, relay.publicKey),
    now: Date.now,
    metrics: () => metrics.text(),
  };
  return createApiServer({
    endpoints: apiEndpoints(services),
    authentication,
    log,
    onAnswered: (path, method, status, seconds) => metrics.answered(path, method, status, seconds),
  });
}
