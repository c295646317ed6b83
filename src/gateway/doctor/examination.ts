/**
 * All that can be looked at of one gateway on this host. A daemon that runs says what only it knows;
 * without one, the files in its state directory say what it will start with. What the host's checks
 * find is looked at here in any case: with the rights of who asks.
 */
import { requestMesh } from '../local-client.ts';
import { openLog } from '../log.ts';
import { scopeOf } from '../mesh/diagnosis.ts';
import type { MeshStatus } from '../mesh/mesh-status.ts';
import { type CachedNetmap, loadNetmap, NETMAP_FILE } from '../mesh/netmap-cache.ts';
import { readState } from '../mesh/state-directory.ts';
import { runtimeDirectory } from '../runtime-directory.ts';
import { readState as readSetup } from '../setup-state.ts';
import { checkApi } from './edge-check.ts';
import {
  CHECK_NAMES,
  type Finding,
  ok,
  problem,
  skipped,
  withoutContradiction,
} from './finding.ts';
import { checkHost } from './host-checks.ts';
import { checkSystem } from './programs-check.ts';
import { checkIdentity, checkStateDirectory, unreadable } from './state-check.ts';
import { scopeStopped } from './stopped-scope.ts';

export interface Examined {
  readonly interface: string;
  /** Name of the connector; null = this host is in no mesh. */
  readonly connector: string | null;
  /** Null = this user may not ask. */
  readonly running: boolean | null;
  readonly findings: readonly Finding[];
}

export interface ExaminedGateway {
  readonly interfaceName: string;
  readonly stateDirectory: string;
  /** Of an interface that is not there yet. */
  readonly mtu: number;
  /** Whether it will answer other gateways' questions. */
  readonly diagnosis: boolean;
}

export async function examine(gateway: ExaminedGateway): Promise<Examined> {
  const { interfaceName } = gateway;
  const system = await checkSystem();
  const asked = await askDaemon(interfaceName);
  if ('mesh' in asked) return examineRunning(gateway, asked.mesh, system);
  const { finding: who, identity } = await checkIdentity(gateway.stateDirectory, interfaceName);
  const { finding: cached, found } = await readCachedNetmap(gateway.stateDirectory);
  const own: Finding[] = [
    ...system,
    await checkStateDirectory(gateway.stateDirectory),
    who,
    asked.fault ?? (await sayStopped(interfaceName)),
    ...(identity === undefined
      ? [skipped('api', 'No edge is known yet.')]
      : [await checkApi(identity)]),
    skipped('relay', 'A gateway that runs tries it.'),
    cached,
    ...(await checkHost(await scopeStopped(gateway, identity, found))),
  ];
  const connector = identity?.name ?? null;
  const running = asked.fault?.status === 'skipped' ? null : false;
  return {
    interface: interfaceName,
    connector,
    running,
    findings: inOrder(withoutContradiction(own)),
  };
}

async function examineRunning(
  { interfaceName, stateDirectory }: ExaminedGateway,
  mesh: MeshStatus,
  system: readonly Finding[],
): Promise<Examined> {
  // What it knows of its own routes, the daemon has said together with what the host's say.
  const host = (await checkHost(scopeOf(mesh))).filter(({ check }) => check !== 'conflicts');
  const looked = new Set([...system, ...host].map(({ check }) => check));
  const findings = [
    ...system,
    ok('daemon', `Process ${mesh.pid}, version ${mesh.version}.`),
    ...mesh.findings.filter(({ check }) => !looked.has(check)),
    ...host,
  ];
  if (!findings.some(({ check }) => check === 'state')) {
    findings.push(await checkStateDirectory(stateDirectory));
  }
  const connector = mesh.connector.name;
  return { interface: interfaceName, connector, running: true, findings: inOrder(findings) };
}

async function askDaemon(
  interfaceName: string,
): Promise<{ readonly mesh: MeshStatus } | { readonly fault?: Finding }> {
  try {
    const mesh = await requestMesh(interfaceName, [runtimeDirectory()]);
    return mesh === undefined ? {} : { mesh };
  } catch (error) {
    return { fault: unreadable('daemon', error) };
  }
}

async function sayStopped(interfaceName: string): Promise<Finding> {
  const left = await readSetup(interfaceName).catch(() => undefined);
  if (left === undefined) {
    const text = `No gateway runs on ${interfaceName}: nothing is routed into the mesh.`;
    return problem('daemon', text, 'connector up');
  }
  const text = `A gateway on ${interfaceName} was killed, and its routes, rules and settings are still there. The next start takes them away, and so does:`;
  return problem('daemon', text, `connector down --interface ${interfaceName}`);
}

/** The netmap that the gateway will start with, and what is wrong with it. */
async function readCachedNetmap(
  directory: string,
): Promise<{ readonly finding: Finding; readonly found?: CachedNetmap }> {
  const read = (name: string) => readState(directory, name);
  const log = openLog('silent', {});
  try {
    const cached = await loadNetmap({ path: directory, read }, log);
    if (cached !== undefined) {
      const { revision } = cached.netmap;
      return { finding: ok('netmap', `Revision ${revision} is on disk.`), found: cached };
    }
    const there = (await read(NETMAP_FILE)) !== undefined;
    return {
      finding: there
        ? problem(
            'netmap',
            `${directory}/${NETMAP_FILE} is damaged and not used: nothing is reached after a start until an edge answers.`,
          )
        : skipped('netmap', 'None is on disk.'),
    };
  } catch (error) {
    return { finding: unreadable('netmap', error) };
  }
}

/** With what somebody else has looked at. */
export function withFinding(examined: Examined, finding: Finding): Examined {
  return { ...examined, findings: inOrder([...examined.findings, finding]) };
}

function inOrder(findings: readonly Finding[]): Finding[] {
  const order = ({ check }: Finding): number => CHECK_NAMES.indexOf(check);
  return findings.toSorted((a, b) => order(a) - order(b));
}
