/**
 * Whether the host's packet filters let pass what the gateway itself sends and is sent: datagrams to the
 * edges' relays, requests to their APIs, and questions between gateways by the mesh's interface. Pure.
 */
import { equalBytes } from '../../bytes.ts';
import { containsAddress } from '../../routing/prefix.ts';
import { DIAGNOSIS_PORT } from '../diagnosis/port.ts';
import { parseEndpoint } from '../endpoint-text.ts';
import { atHooks, concerns, type FilterChain, type ProbePacket } from './filter-model.ts';
import { FilterWalk } from './filter-verdict.ts';
import { type Finding, ok, problem, skipped, warning } from './finding.ts';
import { chainName } from './firewall-remedy.ts';
import { type HostFacts, settingsOf } from './host-facts.ts';
import { ownRemedy } from './own-firewall-remedy.ts';
import type { GatewayScope } from './scope.ts';

const TCP = 6;
const UDP = 17;

/** One direction of a flow that begins or ends here. */
interface OwnPacket {
  /** `requests to the API of edge e (TCP to 192.0.2.1:8443)`. */
  readonly says: string;
  readonly leaving: boolean;
  readonly packet: ProbePacket;
  /** Without it the gateway is cut off; else a question is not answered, and traffic flows. */
  readonly grave: boolean;
}

export function checkOwnFilters(scope: GatewayScope, facts: HostFacts): Finding[] {
  const { chains, unread } = facts.filters;
  const { relays, apis } = scope;
  if (relays.length + apis.length === 0) return [skipped('firewall-own', 'No edge is known yet.')];
  const walk = new FilterWalk(chains);
  const flows = [
    ...relays.flatMap(({ name, endpoint }) => {
      const [to, from] = [`the relay of edge ${name} (UDP to ${endpoint})`, `UDP from ${endpoint}`];
      const back = `answers of the relay of edge ${name} (${from}, of an established flow)`;
      return edgeFlow(UDP, endpoint, facts, [`datagrams to ${to}`, back]);
    }),
    ...apis.flatMap(({ name, endpoint }) => {
      const [to, from] = [`the API of edge ${name} (TCP to ${endpoint})`, `TCP from ${endpoint}`];
      const back = `answers of the API of edge ${name} (${from}, of an established connection)`;
      return edgeFlow(TCP, endpoint, facts, [`requests to ${to}`, back]);
    }),
    ...diagnosisFlows(scope, facts),
  ];
  const said = atHooks(chains, 'output', 'postrouting', 'input', 'prerouting').flatMap((chain) => {
    const stopped = flows.filter((flow) => isStopped(walk, chain, flow));
    return stopped.length === 0 ? [] : [describe(chain, chains, stopped, scope.interfaceName)];
  });
  if (said.length > 0) return said;
  if (unread !== undefined) return [skipped('firewall-own', `Not all could be read: ${unread}.`)];
  return [ok('firewall-own', 'Every chain lets them pass.')];
}

function isStopped(walk: FilterWalk, chain: FilterChain, { leaving, packet }: OwnPacket): boolean {
  const isLeavers = chain.hook === 'output' || chain.hook === 'postrouting';
  if (isLeavers !== leaving || !concerns(chain, packet.family)) return false;
  return walk.passage(chain, packet) === 'dropped';
}

function describe(
  chain: FilterChain,
  chains: readonly FilterChain[],
  stopped: readonly OwnPacket[],
  interfaceName: string,
): Finding {
  const whats = [...new Set(stopped.map(({ says }) => says))];
  const last = whats.pop()!;
  const what = whats.length === 0 ? last : `${whats.join(', ')} and ${last}`;
  const remedies = stopped.flatMap(({ packet }) => ownRemedy(chain, chains, packet, interfaceName));
  const say = stopped.some(({ grave }) => grave) ? problem : warning;
  return say('firewall-own', `The chain ${chainName(chain)} drops ${what}.`, ...new Set(remedies));
}

const NOTHING = { source: undefined, destination: undefined } as const;
const ANY_PORT = { sourcePort: undefined, destinationPort: undefined } as const;

/** To an edge and back; nothing where its address is none. */
function edgeFlow(
  protocol: number,
  endpoint: string,
  facts: HostFacts,
  [saysThere, saysBack]: readonly [string, string],
): OwnPacket[] {
  const to = parseEndpoint(endpoint, () => 0);
  if (to === undefined) return [];
  const link = linkTo(to.address, facts);
  const common = { ...NOTHING, ...ANY_PORT, family: to.family, protocol } as const;
  const there: ProbePacket = {
    ...{ ...common, in: undefined, out: link, state: 'new' },
    ...{ destination: to.address, destinationPort: to.port },
  };
  const back: ProbePacket = {
    ...{ ...common, in: link, out: undefined, state: 'established' },
    ...{ source: to.address, sourcePort: to.port },
  };
  return [
    { says: saysThere, leaving: true, packet: there, grave: true },
    { says: saysBack, leaving: false, packet: back, grave: true },
  ];
}

/** By which an address is reached; undefined = not known. */
function linkTo(address: Uint8Array, { links, routes }: HostFacts): string | undefined {
  // An edge of this host, whatever interface has its address.
  const isHere = links.some(({ addresses }) =>
    addresses.some((own) => equalBytes(own.address, address)),
  );
  if (isHere) return 'lo';
  return routes
    .filter(({ prefix }) => containsAddress(prefix, address))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)[0]?.interfaceName;
}

/** Both ways: a gateway is asked, if it answers, and asks. */
function diagnosisFlows(
  { interfaceName, mesh, answers }: GatewayScope,
  { settings }: HostFacts,
): OwnPacket[] {
  const port = `TCP port ${DIAGNOSIS_PORT}`;
  const has6 = settings(settingsOf(interfaceName).disabled6) !== '1';
  return mesh
    .filter(({ family }) => family === 4 || has6)
    .flatMap(({ family, address }): OwnPacket[] => {
      const common = { ...NOTHING, ...ANY_PORT, family, protocol: TCP, grave: false } as const;
      const coming = { ...common, in: interfaceName, out: undefined, destination: address };
      const going = { ...common, in: undefined, out: interfaceName, source: address };
      const [atPort, fromPort] = [
        { destinationPort: DIAGNOSIS_PORT },
        { sourcePort: DIAGNOSIS_PORT },
      ];
      const flow = (says: string, packet: ProbePacket): OwnPacket => {
        return { says, leaving: packet.out !== undefined, packet, grave: false };
      };
      return [
        ...(answers
          ? [
              flow(`questions of other gateways (${port} by ${interfaceName})`, {
                ...{ ...coming, ...atPort, state: 'new' },
              }),
              flow(`answers to their questions (${port} of this host)`, {
                ...{ ...going, ...fromPort, state: 'established' },
              }),
            ]
          : []),
        flow(`questions to other gateways (${port} into ${interfaceName})`, {
          ...{ ...going, ...atPort, state: 'new' },
        }),
        flow(`answers of other gateways (${port} of theirs, of an established connection)`, {
          ...{ ...coming, ...fromPort, state: 'established' },
        }),
      ];
    });
}
