/** All endpoints of the API, and its description of itself. */
import { z } from 'zod';
import type { EdgeServices } from '../services.ts';
import { certificateEndpoints } from './certificate.ts';
import { connectorEndpoints } from './connectors.ts';
import { edgeEndpoints } from './edges.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { describeApi } from './openapi.ts';
import { policyEndpoints } from './policies.ts';
import { replicaEndpoints } from './replicas.ts';
import { routeQuestionEndpoints } from './route-questions.ts';
import { routeEndpoints } from './routes.ts';
import { tokenEndpoints } from './tokens.ts';
import { vnetEndpoints } from './vnets.ts';

export function apiEndpoints(services: EdgeServices): Endpoint[] {
  const endpoints = [
    ...replicaEndpoints(services),
    ...connectorEndpoints(services),
    ...routeEndpoints(services),
    ...routeQuestionEndpoints(services),
    ...vnetEndpoints(services),
    ...policyEndpoints(services),
    ...tokenEndpoints(services),
    ...edgeEndpoints(services),
    ...certificateEndpoints(services),
  ];
  let description: string | undefined;
  endpoints.push(
    endpoint({
      method: 'GET',
      path: '/v1/openapi.json',
      access: 'public',
      summary: 'This description',
      response: z.looseObject({}),
      contentType: 'application/json',
      handle: () => {
        description ??= `${JSON.stringify(describeApi(endpoints), null, 2)}\n`;
        return description as never;
      },
    }),
  );
  return endpoints;
}
