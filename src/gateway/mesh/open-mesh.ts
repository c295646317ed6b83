/** What `connector up` runs: the state directory locked, this host enrolled, then the daemon's parts. */
import { ETHERNET_MTU, TUNNEL_OVERHEAD } from '../../tun/link.ts';
import type { DaemonOptions } from '../daemon.ts';
import type { Log } from '../log.ts';
import { checkListenAddress, MetricsEndpoint } from '../metrics/metrics-endpoint.ts';
import { openTunnel } from '../open-tunnel.ts';
import { loadSchemaLibrary } from '../schema-library.ts';
import { breakoutWish } from './breakout-setting.ts';
import { yieldToPackets } from './control-priority.ts';
import type { MeshGateway } from './mesh-daemon.ts';
import { checkFlowLog, type GatewaySettings } from './settings.ts';
import { openStateDirectory } from './state-directory.ts';

export interface OpenMeshOptions {
  readonly settings: GatewaySettings;
  /** The settings with the configuration file as it is now. */
  readonly reread: () => Promise<GatewaySettings>;
  /** The join token, if one was given in any way. */
  readonly token: string | undefined;
  /** Name of this host among the connector's replicas. */
  readonly hostname: string;
  readonly version: string;
  readonly log: Log;
  readonly onWarning: (message: string) => void;
}

/**
 * Enrols if need be and says how to run the daemon. The data plane takes half of the start: it is
 * opened meanwhile. The state directory stays locked until the daemon's interface is gone, or this
 * process is.
 *
 * @throws CausewayError as `openStateDirectory`, `openTunnel` and `enrol`; nothing is left behind then
 */
export async function openMesh(options: OpenMeshOptions): Promise<Omit<DaemonOptions, 'onReady'>> {
  const { settings, token, hostname, version, log, onWarning } = options;
  const {
    interface: interfaceName,
    mtu,
    port: listenPort,
    crypto,
    forwarding,
    diagnosis,
  } = settings;
  if (settings.metrics !== undefined) checkListenAddress(settings.metrics);
  if (settings.flowLog !== undefined) checkFlowLog(settings.flowLog);
  const state = await openStateDirectory(settings.stateDir);
  // Where it is to be chosen, what is known then is not known yet.
  const firstMtu = mtu === 'auto' ? ETHERNET_MTU - TUNNEL_OVERHEAD : mtu;
  const opening = openTunnel({ interfaceName, mtu: firstMtu, crypto, log });
  // Whoever awaits it gets the error.
  opening.catch(() => {});
  try {
    // Loaded while the data plane's thread starts: the schemas' library is large.
    await loadSchemaLibrary();
    const { enrol } = await import('./enrolment.ts');
    const { joinMesh } = await import('./join-mesh.ts');
    const { Reloader } = await import('./reload.ts');
    const { advertise, allowDefault } = settings;
    const breakout = breakoutWish(settings);
    const offer = { advertise, allowDefault, breakout };
    const enrolment = { token, ...offer, ready: opening, hostname, version, log, onWarning };
    const enrolled = await enrol(state, enrolment);
    let gateway: MeshGateway | undefined;
    const joined = Promise.withResolvers<MeshGateway>();
    joined.promise.catch(() => {});
    const metrics = joined.promise.then((source) => {
      return new MetricsEndpoint({ source, log, onWarning });
    });
    metrics.catch(() => {});
    const reloader = new Reloader({
      settings,
      reread: options.reread,
      gateway: joined.promise,
      metrics,
      log,
    });
    const net = { mtu, listenPort, forwarding, diagnosis };
    const asked = { flows: settings, breakout, reloadFault: () => reloader.fault };
    const mesh = { enrolled, state, ...net, ...asked, version, log, onWarning };
    return {
      kind: 'gateway',
      interfaceName,
      mtu: firstMtu,
      crypto,
      log,
      openTunnel: () => opening,
      reload: () => reloader.reload(),
      summary: () => gateway?.summary() ?? 'starting',
      attach: async (tunnel, signal) => {
        yieldToPackets(log);
        const joining = joinMesh(tunnel, mesh, signal);
        joining.then(joined.resolve, joined.reject);
        gateway = await joining;
        const endpoint = await metrics;
        gateway.closeFirst(endpoint);
        await endpoint.use(settings.metrics);
        return gateway;
      },
    };
  } catch (error) {
    await opening.then((tunnel) => tunnel.close()).catch(() => {});
    await state.close();
    throw error;
  }
}
