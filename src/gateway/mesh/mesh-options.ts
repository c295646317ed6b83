/** What a connector under the control plane is run with. */
import type { BreakoutWish } from '../../control/breakout.ts';
import type { FlowOptions } from '../flows/mesh-flows.ts';
import type { Log } from '../log.ts';
import type { Enrolled } from './enrolment.ts';
import type { ReloadFault } from './reload.ts';
import type { StateDirectory } from './state-directory.ts';

export interface MeshOptions {
  readonly enrolled: Enrolled;
  readonly state: StateDirectory;
  /** Bytes; of the interface. */
  readonly mtu: number;
  readonly listenPort: number;
  /** Whether kernel settings may be changed so that packets are forwarded. */
  readonly forwarding: boolean;
  /** By whom Internet traffic of the site's hosts leaves. */
  readonly breakout: BreakoutWish;
  /** Whether other gateways may ask this one about flows between their sites and its own. */
  readonly diagnosis: boolean;
  readonly flows: FlowOptions;
  /** Why the last reload of the configuration did not succeed. */
  readonly reloadFault: () => ReloadFault | undefined;
  readonly version: string;
  readonly log: Log;
  readonly onWarning: (message: string) => void;
}
