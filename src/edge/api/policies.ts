/** `/v1/vnets/{id}/policy`: what may talk to what in a virtual network. */

import { z } from 'zod';
import type { ConnectorId, PolicyRecord, Vnet } from '../../control/model.ts';
import { referenceSchema } from '../../control/operator-api.ts';
import { NO_POLICY, parseDocument } from '../../control/policy/document.ts';
import { type Explanation, PolicyEvaluator } from '../../control/policy/evaluate.ts';
import { describeDecision, formatFlow, parseFlow } from '../../control/policy/policy-tests.ts';
import { formatRuleText } from '../../control/policy/rule-text.ts';
import {
  type PolicySummary,
  type PolicyTestResults,
  type PolicyView,
  policyExplainQuerySchema,
  policyExplanationSchema,
  policyHistorySchema,
  policyRollbackSchema,
  policySetSchema,
  policyTestResultsSchema,
  policyTestSchema,
  policyViewSchema,
} from '../../control/policy-api.ts';
import { existingVnet } from '../../control/registry/checks.ts';
import {
  currentPolicy,
  type ManagementConnection,
  meshLookup,
  rollbackPolicy,
  setPolicy,
  testPolicy,
} from '../../control/registry/policies.ts';
import { ownersInVnet } from '../../control/registry/policy-in-force.ts';
import type { RegistryView } from '../../control/registry/view.ts';
import { change, type EdgeServices } from '../services.ts';
import { isoTime, namedConnector, namedVnet } from '../views.ts';
import { type ApiRequest, type Endpoint, endpoint } from './endpoint.ts';

const idSchema = z.strictObject({ id: referenceSchema });
const PATH = '/v1/vnets/:id/policy';

export function policyEndpoints(services: EdgeServices): Endpoint[] {
  const { view } = services.registry;
  return [
    endpoint({
      method: 'GET',
      path: PATH,
      access: 'read',
      summary: "A virtual network's policy, as its operator wrote it",
      params: idSchema,
      response: policyViewSchema,
      handle: ({ params }) => {
        const vnet = existingVnet(view, params.id);
        return policyView(view, vnet, view.policyOf(vnet.id));
      },
    }),
    endpoint({
      method: 'PUT',
      path: PATH,
      access: 'admin',
      summary: 'Replace the policy, if it is valid and its test cases pass',
      params: idSchema,
      body: policySetSchema,
      response: policyViewSchema,
      handle: async ({ params, body, ...request }) => {
        const { connections = [], ...rest } = body;
        const input = { ...rest, ...changeBy(request, params.id, connections) };
        const { result } = await change(services, request.actor, (at, context) =>
          setPolicy(at, input, context),
        );
        return policyView(view, view.vnets.get(result.vnet)!, result);
      },
    }),
    endpoint({
      method: 'POST',
      path: `${PATH}/test`,
      access: 'read',
      summary: 'Run the test cases of a document, or of the policy in force',
      params: idSchema,
      body: policyTestSchema,
      response: policyTestResultsSchema,
      handle: ({ params, body }) => testResults(view, existingVnet(view, params.id), body.text),
    }),
    endpoint({
      method: 'GET',
      path: `${PATH}/history`,
      access: 'read',
      summary: 'The versions that are kept, the one in force first',
      params: idSchema,
      response: policyHistorySchema,
      handle: ({ params }) => {
        const vnet = existingVnet(view, params.id);
        const versions = [...view.policiesOf(vnet.id).values()];
        versions.sort((a, b) => b.version - a.version);
        return { versions: versions.map((record) => summaryOf(view, vnet, record)) };
      },
    }),
    endpoint({
      method: 'POST',
      path: `${PATH}/rollback`,
      access: 'admin',
      summary: 'Make an earlier version the next one',
      params: idSchema,
      body: policyRollbackSchema,
      response: policyViewSchema,
      handle: async ({ params, body, ...request }) => {
        const { connections = [], ...rest } = body;
        const input = { ...rest, ...changeBy(request, params.id, connections) };
        const { result } = await change(services, request.actor, (at, context) =>
          rollbackPolicy(at, input, context),
        );
        return policyView(view, view.vnets.get(result.vnet)!, result);
      },
    }),
    endpoint({
      method: 'GET',
      path: `${PATH}/explain`,
      access: 'read',
      summary: 'Whether a flow is allowed, and which rule decides that',
      params: idSchema,
      query: policyExplainQuerySchema,
      response: policyExplanationSchema,
      handle: ({ params, query }) => {
        const { source: from, destination: to, ...service } = query;
        const vnet = existingVnet(view, params.id);
        const record = view.policyOf(vnet.id);
        const text = { from, to, ...service };
        const flow = parseFlow(text, meshLookup(view, vnet), 'the flow');
        const evaluator = new PolicyEvaluator(
          currentPolicy(view, vnet),
          ownersInVnet(view, vnet.id),
        );
        const explanation = evaluator.explain(flow);
        const { rule } = explanation;
        return {
          ...decision(view, explanation),
          vnet: namedVnet(view, vnet.id),
          version: record?.version ?? 0,
          flow: formatFlow(text),
          why: describeDecision(explanation),
          text: rule === undefined ? null : ruleText(record!, rule),
        };
      },
    }),
  ];
}

/** The request's own connection is one that the operator works by. */
function changeBy(
  {
    actor,
    source,
    reached,
  }: Pick<ApiRequest<unknown, unknown, unknown>, 'actor' | 'source' | 'reached'>,
  vnet: string,
  connections: readonly ManagementConnection[],
) {
  const own = reached === undefined ? [] : [{ source, ...reached }];
  return { vnet, author: actor.name, connections: [...connections, ...own] };
}

function summaryOf(
  view: RegistryView,
  vnet: Vnet,
  record: PolicyRecord | undefined,
): PolicySummary {
  const { document } = parseDocument(record?.text ?? NO_POLICY);
  return {
    vnet: namedVnet(view, vnet.id),
    version: record?.version ?? 0,
    default: document.default,
    rules: document.rules.length,
    tests: document.tests?.length ?? 0,
    comment: record?.comment ?? '',
    author: record?.author ?? '',
    created: record === undefined ? null : isoTime(record.created),
  };
}

function policyView(view: RegistryView, vnet: Vnet, record: PolicyRecord | undefined): PolicyView {
  return { ...summaryOf(view, vnet, record), text: record?.text ?? NO_POLICY };
}

function testResults(view: RegistryView, vnet: Vnet, text: string | undefined): PolicyTestResults {
  const results = testPolicy(view, vnet, text);
  return {
    passed: results.every(({ passed }) => passed),
    results: results.map(({ test, number, explanation, passed }) => {
      const flow = formatFlow(test);
      return { ...decision(view, explanation), number, flow, expect: test.expect, passed };
    }),
  };
}

function decision(view: RegistryView, explanation: Explanation) {
  const { verdict, rule = null, logged } = explanation;
  const names = (ids: readonly string[]): string[] =>
    ids.map((id) => namedConnector(view, id as ConnectorId).name);
  return {
    verdict,
    rule,
    logged: [...logged],
    sourceConnectors: names(explanation.sourceConnectors),
    destinationConnectors: names(explanation.destinationConnectors),
  };
}

function ruleText(record: PolicyRecord, rule: number): string {
  return formatRuleText(parseDocument(record.text).document.rules[rule - 1]!);
}
