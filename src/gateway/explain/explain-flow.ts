/**
 * Explains a flow at one of its two gateways: gathers what is known here, asks the other one through the
 * mesh, and puts both into steps.
 */
import type { Netmap } from '../../control/netmap.ts';
import { numericAddress } from '../../control/policy/address-set.ts';
import { ownersOfNetmap } from '../../control/policy/compile.ts';
import { PolicyEvaluator } from '../../control/policy/evaluate.ts';
import { hasBit, reachablePairs } from '../../control/policy/reachable-pairs.ts';
import { formatRule } from '../../control/policy/rule-text.ts';
import { TCP } from '../../control/policy/services.ts';
import { type Asked, askGateway } from '../diagnosis/diagnosis-client.ts';
import { DIAGNOSIS_PORT } from '../diagnosis/port.ts';
import { reportMesh } from '../mesh/mesh-report.ts';
import type { MeshPeer, MeshStatus } from '../mesh/mesh-status.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import { describePath } from '../mesh/path-text.ts';
import { type AskedFlow, readQuestion, understand } from './asked-flow.ts';
import type { Explanation, Step } from './explanation.ts';
import type { FlowCase, Session, Side, Silence } from './flow-case.ts';
import { farOf, whoseIs } from './netmap-facts.ts';
import { readOwnSide, routesHere } from './own-side.ts';
import { flowSteps } from './steps/flow-steps.ts';
import { bothHere, nobodyHere, nothingKnown, standingBy } from './steps/here-steps.ts';

/**
 * @param view the gateway as it is when it is called
 * @throws CausewayError USAGE, NOT_FOUND for a question that makes no sense
 */
export async function explainFlow(view: () => MeshView, input: unknown): Promise<Explanation> {
  const question = readQuestion(input);
  const { netmap } = view().inForce;
  if (netmap === undefined) {
    const { name } = view().identity;
    const { source, destination } = question;
    const flow = `${source} → ${destination}`;
    const steps = [nothingKnown(name)];
    return { source, destination, flow, connector: name, concerned: true, ok: false, steps };
  }
  const asked = understand(question, netmap);
  const source = whoseIs(netmap, asked.flow.source);
  const destination = whoseIs(netmap, asked.flow.destination);
  const answer = (concerned: boolean, steps: readonly Step[]): Explanation => ({
    source: asked.source,
    destination: asked.destination,
    flow: `${asked.source} → ${asked.destination} ${asked.service}`,
    connector: netmap.self.name,
    concerned,
    ok: steps.every(({ state }) => state === 'ok'),
    steps: [...steps],
  });
  if (!netmap.self.serving) return answer(true, [standingBy(netmap)]);
  if (source.here && destination.here) return answer(true, [bothHere(netmap, asked)]);
  if (!source.here && !destination.here) {
    return answer(false, [nobodyHere(netmap, asked, source.others, destination.others)]);
  }
  return answer(true, await explainEnds(view, netmap, asked, source.here ? 'origin' : 'target'));
}

async function explainEnds(
  view: () => MeshView,
  netmap: Netmap,
  asked: AskedFlow,
  hereIs: FlowCase['hereIs'],
): Promise<Step[]> {
  const isOrigin = hereIs === 'origin';
  const near = isOrigin ? asked.source : asked.destination;
  const far = isOrigin ? asked.destination : asked.source;
  const now = view();
  const { chosen } = farOf(
    netmap,
    isOrigin ? asked.flow.destination : asked.flow.source,
    routesHere(now),
  );
  const peer = netmap.peers.find(({ name, serving }) => serving && name === chosen?.connector);
  const heard = (): number => receivedFrom(view(), peer?.replica);
  const before = heard();
  const own = { near, far, flow: asked.flow, departs: isOrigin };
  const interfaceName = now.snapshot.interfaceName;
  const [facts, told] = await Promise.all([
    readOwnSide(now, netmap, interfaceName, own, true),
    peer === undefined ? undefined : ask(netmap, peer, asked),
  ]);
  const here: Side = { name: netmap.self.name, near, far, facts };
  const names = new Map(
    [netmap.self, ...netmap.peers].map(({ connector, name }) => [connector as string, name]),
  );
  return flowSteps({
    ...asked,
    here,
    hereIs,
    other:
      peer === undefined || told === undefined
        ? undefined
        : { name: peer.name, told: sideOf(told, peer, { netmap, here, alive: heard() > before }) },
    session: sessionOf(view(), peer?.replica),
    ruleText: (number) => {
      const rule = netmap.policy?.rules[number - 1];
      return rule && formatRule(rule, (id) => names.get(id));
    },
  });
}

type Peer = Netmap['peers'][number];

function ask({ self }: Netmap, peer: Peer, { source, destination, flow }: AskedFlow) {
  const family = flow.source.family === 4 ? 'ipv4' : 'ipv6';
  const { protocol, port } = flow;
  const service = port === undefined ? { protocol } : { protocol, port };
  return askGateway(hostOf(self.mesh[family]), hostOf(peer.mesh[family]), {
    source,
    destination,
    ...service,
  });
}

/** Of the prefix of one host. */
function hostOf(prefix: string): string {
  return prefix.slice(0, prefix.indexOf('/'));
}

interface Asking {
  readonly netmap: Netmap;
  readonly here: Side;
  /** Something came from the peer since. */
  readonly alive: boolean;
}

function sideOf(asked: Asked, peer: Peer, { netmap, here, alive }: Asking): Side | Silence {
  if ('facts' in asked) {
    const { facts } = asked;
    // It speaks for itself only.
    if (facts.connector !== peer.name) return { kind: 'strange' };
    return { name: peer.name, near: here.far, far: here.near, facts };
  }
  const { kind } = asked;
  if (kind === 'not-yours' || kind === 'not-ours') return { kind, revision: asked.revision };
  if (kind !== 'timeout') return { kind };
  const denied = !canMeet(netmap, peer.connector);
  return { kind, denied, closed: isPortDenied(netmap, peer), alive };
}

/** Whether the policy leaves anything that could pass between the two, so that an edge relays for them. */
function canMeet({ policy, self, peers, ...rest }: Netmap, other: string): boolean {
  if (policy === undefined) return true;
  const owners = ownersOfNetmap({ policy, self, peers, ...rest });
  const connectors = new Set([self.connector, ...peers.map(({ connector }) => connector)]);
  const pairs = reachablePairs(policy, owners, connectors);
  const [a, b] = [pairs?.classes.get(self.connector), pairs?.classes.get(other)];
  const row = a === undefined ? undefined : pairs?.rows[a];
  return row === undefined || b === undefined || hasBit(row, b);
}

/** Whether the policy denies the diagnosis, which it is not asked about where questions are answered. */
function isPortDenied(netmap: Netmap, { mesh }: Peer): boolean {
  const { policy, self } = netmap;
  if (policy === undefined) return false;
  const [source, destination] = [self.mesh.ipv4, mesh.ipv4].map((text) =>
    numericAddress(hostOf(text)),
  );
  const flow = { source: source!, destination: destination!, protocol: TCP, port: DIAGNOSIS_PORT };
  const evaluator = new PolicyEvaluator(policy, ownersOfNetmap({ ...netmap, policy }));
  return evaluator.explain(flow).verdict === 'deny';
}

/** Bytes; a daemon that is there answers path frames at least. */
function receivedFrom(view: MeshView, replica: string | undefined): number {
  return reportMesh(view).peers.find((one) => one.replica === replica)?.rxBytes ?? 0;
}

function sessionOf(view: MeshView, replica: string | undefined): Session {
  const interfaceMtu = view.mtu;
  const report = reportMesh(view);
  const peer = report.peers.find((one) => one.replica === replica);
  if (peer === undefined) {
    return {
      ...{ kind: 'none', path: 'none', rtt: null, mtu: null, interfaceMtu, handshake: null },
      edgeSilent: false,
    };
  }
  return {
    kind: peer.path.kind,
    path: describePath(peer.path),
    rtt: peer.rtt,
    mtu: peer.mtu,
    interfaceMtu,
    handshake: handshakeAge(peer),
    edgeSilent: peer.path.kind === 'relayed' && isSilent(report, peer.path.edge),
  };
}

function isSilent({ edges, stream }: MeshStatus, name: string | null): boolean {
  const edge = edges.find((one) => one.name === name);
  return stream.state !== 'open' || edge?.lastHandshake === null;
}

function handshakeAge({ lastHandshake }: MeshPeer): number | null {
  if (lastHandshake === null) return null;
  return Math.max(0, Math.round((Date.now() - Date.parse(lastHandshake)) / 1_000));
}
