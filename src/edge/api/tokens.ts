/** `/v1/tokens`: API tokens of operators. */
import { z } from 'zod';
import {
  referenceSchema,
  tokenCreatedSchema,
  tokenCreateSchema,
  tokenListSchema,
} from '../../control/operator-api.ts';
import { createToken, deleteToken } from '../../control/registry/tokens.ts';
import { createBearer } from '../bearer.ts';
import { change, type EdgeServices } from '../services.ts';
import { tokenView } from '../views.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

const DAY = 86_400_000;
const idSchema = z.strictObject({ id: referenceSchema });

export function tokenEndpoints(services: EdgeServices): Endpoint[] {
  const { view } = services.registry;
  return [
    endpoint({
      method: 'GET',
      path: '/v1/tokens',
      access: 'admin',
      summary: 'All API tokens, without their secrets',
      response: tokenListSchema,
      handle: () => {
        const sorted = [...view.tokens.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
        return { tokens: sorted.map(tokenView) };
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/tokens',
      access: 'admin',
      summary: 'Make an API token; its secret is in the answer, once',
      body: tokenCreateSchema,
      response: tokenCreatedSchema,
      status: 201,
      handle: async ({ body, actor }) => {
        const secret = createBearer('token');
        const { result } = await change(services, actor, (at, context) => {
          const expires = body.days === undefined ? null : context.now + body.days * DAY;
          return createToken(at, { name: body.name, role: body.role, expires, secret }, context);
        });
        return { token: tokenView(result), secret };
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/tokens/:id',
      access: 'admin',
      summary: 'Revoke an API token',
      params: idSchema,
      handle: async ({ params, actor }) => {
        await change(services, actor, (at) => deleteToken(at, params.id));
      },
    }),
  ];
}
