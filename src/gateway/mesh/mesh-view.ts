/** What there is to tell of a running gateway: `status`, the diagnosis and the summary read this. */
import type { DiagnosisListener } from '../diagnosis/diagnosis-listener.ts';
import type { MeshFlows } from '../flows/mesh-flows.ts';
import type { PolicyEnforcer } from '../policy/policy-enforcer.ts';
import type { TunnelSnapshot } from '../tunnel.ts';
import type { Announcer } from './announcer.ts';
import type { EdgeEndpoints } from './edge-endpoints.ts';
import type { StreamState } from './edge-stream.ts';
import type { Identity } from './identity.ts';
import type { MeshKernel } from './mesh-kernel.ts';
import type { NetmapInForce } from './netmap-in-force.ts';
import type { ReloadFault } from './reload.ts';
import type { SilenceWatch } from './silence.ts';

export interface MeshView {
  /** ms since the Unix epoch. */
  readonly since: number;
  readonly version: string;
  readonly mtu: number;
  readonly identity: Identity;
  readonly snapshot: TunnelSnapshot;
  readonly inForce: Pick<
    NetmapInForce,
    'netmap' | 'wanted' | 'source' | 'kernelFault' | 'saveFault' | 'contention'
  >;
  readonly policy: Pick<PolicyEnforcer, 'state' | 'fault' | 'closed' | 'explain'>;
  readonly endpoints: Pick<EdgeEndpoints, 'of' | 'apisOf'>;
  readonly kernel: Pick<MeshKernel, 'routes' | 'conflicts' | 'warnings'>;
  readonly streamState: StreamState;
  /** Netmaps and deltas that did not validate or could not be applied. */
  readonly refused: number;
  /** Addresses of two machines with our identity, if the edge says that there are two. */
  readonly twins: readonly string[] | undefined;
  /** Where identity and netmap are kept. */
  readonly stateDirectory: string;
  /** Of the edge's clock ahead of ours, in ms; undefined = not known yet. */
  readonly clockOffset: number | undefined;
  /** Why the edge does not know what is advertised. */
  readonly announceFault: Announcer['fault'];
  /** Why the last reload did not succeed. */
  readonly reloadFault: ReloadFault | undefined;
  readonly silence: Pick<SilenceWatch, 'since'>;
  /** Undefined: it answers no questions of others. */
  readonly diagnosis: Pick<DiagnosisListener, 'counts' | 'fault'> | undefined;
  readonly flows: Pick<MeshFlows, 'state' | 'describe'>;
}
