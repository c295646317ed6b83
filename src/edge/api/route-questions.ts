/** `/v1/route-questions`: what operators ask of the routes (control/route-questions.ts). */
import { z } from 'zod';
import { prefixTextSchema } from '../../control/api.ts';
import type { VnetId } from '../../control/model.ts';
import {
  checkAnswerSchema,
  getAnswerSchema,
  overlapsAnswerSchema,
  referenceSchema,
} from '../../control/operator-api.ts';
import { existingVnet } from '../../control/registry/checks.ts';
import { checkedCidr } from '../../control/registry/prefixes.ts';
import { checkCidr, getIp, overlaps } from '../../control/route-questions.ts';
import { formatAddress, parseAddress } from '../../routing/address.ts';
import { formatPrefix } from '../../routing/prefix.ts';
import { RequestError } from '../problem.ts';
import type { EdgeServices } from '../services.ts';
import { isBoundBy, namedConnector, namedVnet, pathView, routeView } from '../views.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

const vnetQuery = { vnet: referenceSchema.optional() };
const addressSchema = z.string().min(2).max(45);

export function routeQuestionEndpoints(services: EdgeServices): Endpoint[] {
  const { view } = services.registry;
  const source = { view, presence: services.presence };
  const vnetOf = (reference: string | undefined): VnetId | undefined =>
    reference === undefined ? undefined : existingVnet(view, reference).id;
  return [
    endpoint({
      method: 'GET',
      path: '/v1/route-questions/get',
      access: 'read',
      summary: 'Which connector an address is reached through, in each virtual network',
      query: z.strictObject({ address: addressSchema, ...vnetQuery }),
      response: getAnswerSchema,
      handle: ({ query }) => {
        const parsed = parseAddress(query.address);
        if (parsed === undefined) throw new RequestError(`"${query.address}" is no address.`);
        const found = getIp(view, parsed.address, vnetOf(query.vnet), isBoundBy(source));
        return {
          address: formatAddress(parsed.address),
          answers: found.map(({ vnet, connector, prefix, route, serving }) => ({
            vnet: namedVnet(view, vnet),
            connector: namedConnector(view, connector.id),
            prefix,
            route: route === undefined ? null : routeView(source, route),
            serving,
            path: pathView(source, connector.id),
          })),
        };
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/route-questions/check',
      access: 'read',
      summary: 'How a prefix would be reached, and what overlaps it',
      query: z.strictObject({ prefix: prefixTextSchema, ...vnetQuery }),
      response: checkAnswerSchema,
      handle: ({ query }) => {
        const prefix = checkedCidr(query.prefix);
        return {
          prefix: formatPrefix(prefix),
          answers: checkCidr(view, prefix, vnetOf(query.vnet)).map((answer) => ({
            vnet: namedVnet(view, answer.vnet),
            reachedBy: answer.reachedBy === undefined ? null : routeView(source, answer.reachedBy),
            overlapping: answer.overlapping.map((route) => routeView(source, route)),
          })),
        };
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/route-questions/overlaps',
      access: 'read',
      summary: 'All pairs of prefixes that overlap',
      query: z.strictObject(vnetQuery),
      response: overlapsAnswerSchema,
      handle: ({ query }) => {
        const { overlaps: pairs, truncated } = overlaps(view, vnetOf(query.vnet));
        return {
          overlaps: pairs.map(({ outer, inner }) => ({
            outer: routeView(source, outer),
            inner: routeView(source, inner),
            sameVnet: outer.vnet === inner.vnet,
          })),
          truncated,
        };
      },
    }),
  ];
}
