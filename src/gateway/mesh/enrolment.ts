/**
 * Who this host is when `connector up` starts: enrolled already, or with a join token now. Nothing of
 * the system is touched here, only the state directory.
 */
import { randomBytes } from 'node:crypto';
import { wipe } from '../../bytes.ts';
import type { BreakoutWish } from '../../control/breakout.ts';
import { enrolmentProof, type ProvenRequest } from '../../control/enrolment-proof.ts';
import { decodeJoinToken, type JoinToken } from '../../control/join-token.ts';
import type { Netmap } from '../../control/netmap.ts';
import { BEARER_SIZE, bearerText, hashSecret } from '../../control/secrets.ts';
import { CausewayError } from '../../errors.ts';
import { KEY_SIZE, keyFromBase64, keyToBase64, type PrivateKey } from '../../keys.ts';
import { loadAddon } from '../../native/addon.ts';
import { OpensslPrimitives } from '../../native/openssl-primitives.ts';
import type { Log } from '../log.ts';
import { checkPrefix } from './advertised-prefixes.ts';
import { type EdgeAddress, EdgeClient, EdgeRefusal } from './edge-client.ts';
import { pinsOf } from './edge-connection.ts';
import {
  createPrivateKey,
  type Identity,
  loadIdentity,
  loadPrivateKey,
  saveIdentity,
} from './identity.ts';
import { type CachedNetmap, loadNetmap, saveNetmap } from './netmap-cache.ts';
import type { StateDirectory } from './state-directory.ts';

/** More than this, in ms, and handshakes with others fail or lock us out later: see docs/errors.md. */
const MOST_CLOCK_OFFSET = 3_600_000;
/** For telling the edge of other prefixes before the start goes on without it. */
const ADVERTISE_TIMEOUT_MS = 5_000;

export interface EnrolmentOptions {
  /** As it was given; undefined = none was. */
  readonly token: string | undefined;
  /** What `--advertise` named; undefined = as it was. */
  readonly advertise: readonly string[] | undefined;
  readonly allowDefault: boolean;
  readonly breakout: BreakoutWish;
  /**
   * Resolves when this host can carry packets. The edge is not asked before: a start that fails here
   * would take the place of a replica there, each time where the state directory does not outlive it.
   */
  readonly ready: Promise<unknown>;
  /** Name of this host among the connector's replicas. */
  readonly hostname: string;
  readonly version: string;
  readonly log: Log;
  readonly onWarning: (message: string) => void;
}

export interface Enrolled {
  readonly identity: Identity;
  readonly privateKey: PrivateKey;
  readonly client: EdgeClient;
  /** The last netmap; undefined = none is known. */
  readonly cached: CachedNetmap | undefined;
  /** Enrolled just now: nobody can have a session with us. */
  readonly fresh: boolean;
}

/**
 * @throws CausewayError NOT_ENROLLED, ENROLLED_ALREADY, CONNECTOR_GONE, CLOCK_WRONG, the codes of
 *   prefixes and join tokens, those of the edge client, those of the state directory, those of `ready`
 */
export async function enrol(state: StateDirectory, options: EnrolmentOptions): Promise<Enrolled> {
  const token = options.token === undefined ? undefined : readToken(options.token);
  const advertise = options.advertise?.map((text) => checkPrefix(text, options.allowDefault));
  const identity = await loadIdentity(state);
  if (identity !== undefined && identity.gone === undefined) {
    if (token !== undefined && token.connector !== identity.connector) {
      const message = `This host is enrolled as connector ${identity.name}, and the token is for another one: \`connector down --forget\` ends that, or give this one a --state-dir of its own.`;
      throw new CausewayError('ENROLLED_ALREADY', message);
    }
    return resume(state, identity, advertise, options);
  }
  if (token === undefined) {
    if (identity?.gone !== undefined) {
      const message = `Connector ${identity.name} does not accept this host any more (${identity.gone}): join again with a new token.`;
      throw new CausewayError('CONNECTOR_GONE', message);
    }
    const message = `This host is enrolled nowhere yet (${state.path} is empty): \`connector create NAME\` on the edge gives a join token for \`connector up --token\`.`;
    throw new CausewayError('NOT_ENROLLED', message);
  }
  return join(state, token, identity !== undefined, advertise ?? [], options);
}

async function join(
  state: StateDirectory,
  token: JoinToken,
  anew: boolean,
  advertise: readonly string[],
  options: EnrolmentOptions,
): Promise<Enrolled> {
  const { hostname, version, allowDefault, log } = options;
  const edge = { urls: [...token.urls], tlsPin: token.tlsPin };
  const client = new EdgeClient([{ urls: edge.urls, tlsPins: [edge.tlsPin] }]);
  const known = anew ? undefined : await loadPrivateKey(state);
  const privateKey = known ?? (await createPrivateKey(state, Uint8Array.from(randomBytes(32))));
  const credential = bearerText('replica', Uint8Array.from(randomBytes(BEARER_SIZE)));
  const request = {
    connector: token.connector,
    secret: token.secret,
    publicKey: keyToBase64(publicKeyOf(privateKey)),
    credentialHash: hashSecret(credential),
    hostname,
    version,
    advertise: [...advertise],
    ...(allowDefault && { allowDefault }),
  };
  await options.ready;
  const proof = proofOf(privateKey, token.edgePublicKey, request);
  const answer = await client.enrol({ ...request, proof }).catch((error: unknown) => {
    throw explainUntrusted(error);
  });
  checkClock(answer.time);
  const { replica, connector, name, relayId, netmap, netmapId } = answer;
  const identity: Identity = {
    format: 1,
    replica,
    connector,
    name,
    relayId,
    credential,
    edge,
    advertise: [...advertise],
    allowDefault,
    ...keptWish(options.breakout),
    // It is told when the stream is open.
    advertisePending: options.breakout.connectors.length > 0,
  };
  client.useEdges(edgesOf(identity, netmap));
  const cached = { netmap, resolved: {}, id: netmapId };
  await saveNetmap(state, cached);
  await saveIdentity(state, identity);
  log.info({ connector: name, replica }, 'enrolled');
  return { identity, privateKey, client, cached, fresh: true };
}

async function resume(
  state: StateDirectory,
  before: Identity,
  advertise: readonly string[] | undefined,
  options: EnrolmentOptions,
): Promise<Enrolled> {
  const { allowDefault, log, onWarning } = options;
  const privateKey = await loadPrivateKey(state);
  if (privateKey === undefined) {
    const message = `${state.path} holds an identity without its private key: restore it, or \`connector down --forget\` and join again with a new token.`;
    throw new CausewayError('IDENTITY_DAMAGED', message);
  }
  const cached = await loadNetmap(state, log);
  const client = new EdgeClient(edgesOf(before, cached?.netmap));
  const { breakout: _, ...rest } = before;
  const wish = keptWish(options.breakout);
  let identity: Identity = { ...rest, ...wish };
  const other = JSON.stringify(wish.breakout) !== JSON.stringify(before.breakout);
  const named = advertise !== undefined && advertise.join() !== before.advertise.join();
  if (named) identity = { ...identity, advertise: [...advertise], allowDefault };
  if (named || other) {
    identity = { ...identity, advertisePending: true };
    try {
      await tellEdge(client, identity, AbortSignal.timeout(ADVERTISE_TIMEOUT_MS));
      identity = { ...identity, advertisePending: false };
    } catch (error) {
      if (named && error instanceof EdgeRefusal && error.isOfRequest) throw error;
      onWarning(`The edge learns of the advertised prefixes later. ${(error as Error).message}`);
    }
    await saveIdentity(state, identity);
  }
  return { identity, privateKey, client, cached, fresh: false };
}

/** As an identity keeps it: none is not there. */
export function keptWish(breakout: BreakoutWish): Pick<Identity, 'breakout'> {
  if (breakout.connectors.length === 0) return {};
  const { connectors, families, fallback } = breakout;
  const known = [...connectors] as NonNullable<Identity['breakout']>['connectors'];
  return { breakout: { connectors: known, families: [...families], fallback } };
}

/** Tells the edge what the identity advertises, and by whom its Internet traffic is to leave. */
export async function tellEdge(
  client: EdgeClient,
  { credential, advertise, allowDefault, breakout }: Identity,
  signal: AbortSignal,
): Promise<void> {
  const request = {
    prefixes: advertise,
    ...(allowDefault && { allowDefault }),
    ...(breakout && { breakout }),
  };
  await client.advertise(credential, request, signal);
}

/** Where the edges are reached and what they are known by: as the netmap says, else the identity. */
export function edgesOf(identity: Identity, netmap: Netmap | undefined): EdgeAddress[] {
  const edges = (netmap?.edges ?? []).filter(({ urls }) => urls.length > 0);
  return [...edges, identity.edge].map((edge) => ({ urls: edge.urls, tlsPins: pinsOf(edge) }));
}

/**
 * The identity with the edge that enrolled it as a netmap describes it, so that the edge is found
 * without the netmap as well when it has other URLs, or another certificate, than the join token
 * named. The same object if nothing of it changed.
 */
export function followEdge(identity: Identity, netmap: Netmap): Identity {
  const before = identity.edge;
  const edge = netmap.edges.find(({ urls }) => urls.some((url) => before.urls.includes(url)));
  if (edge === undefined) return identity;
  const { urls, tlsPin, nextTlsPin } = edge;
  const after = { urls, tlsPin, ...(nextTlsPin !== undefined && { nextTlsPin }) };
  if (JSON.stringify(after) === JSON.stringify(before)) return identity;
  return { ...identity, edge: after };
}

function readToken(text: string): JoinToken {
  const decoded = decodeJoinToken(text);
  if (decoded.ok) return decoded.value;
  throw new CausewayError(decoded.code, decoded.message);
}

/** The token says what the edge is known by. */
function explainUntrusted(error: unknown): unknown {
  if (!(error instanceof CausewayError) || error.code !== 'EDGE_UNTRUSTED') return error;
  const remedy =
    '`connector rotate-token NAME` on the edge makes a join token with its present key.';
  return new CausewayError('EDGE_UNTRUSTED', `${error.message} ${remedy}`, { cause: error });
}

/** @throws CausewayError CLOCK_WRONG */
function checkClock(edgeTime: number): void {
  const offset = edgeTime - Date.now();
  if (Math.abs(offset) <= MOST_CLOCK_OFFSET) return;
  const hours = Math.round(Math.abs(offset) / 360_000) / 10;
  const message = `This host's clock is ${hours} h ${offset > 0 ? 'behind' : 'ahead of'} the edge's: set the one that is wrong (\`timedatectl\` shows this one), then start again.`;
  throw new CausewayError('CLOCK_WRONG', message);
}

/** @throws CausewayError JOIN_TOKEN_DAMAGED for a token with a key that is none */
function proofOf(privateKey: PrivateKey, edge: string, request: ProvenRequest): string {
  const edgePublicKey = keyFromBase64(edge)!;
  const shared = new Uint8Array(KEY_SIZE);
  if (!new OpensslPrimitives(loadAddon()).x25519(shared, privateKey, edgePublicKey)) {
    const message = "The edge's WireGuard key in the join token is none: make a new token.";
    throw new CausewayError('JOIN_TOKEN_DAMAGED', message);
  }
  const proof = enrolmentProof(shared, edgePublicKey, request);
  wipe(shared);
  return proof;
}

function publicKeyOf(privateKey: PrivateKey): Uint8Array {
  const publicKey = new Uint8Array(KEY_SIZE);
  new OpensslPrimitives(loadAddon()).x25519Base(publicKey, privateKey);
  return publicKey;
}
