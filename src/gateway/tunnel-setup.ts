/**
 * A tunnel as its wg-quick file says, on an open tunnel: keys and peers, addresses, routes, name servers, hooks;
 * and everything taken away again.
 */
import { CausewayError } from '../errors.ts';
import { loadAddon } from '../native/addon.ts';
import { formatAddress } from '../routing/address.ts';
import {
  containsAddress,
  formatPrefix,
  type InterfaceAddress,
  type Prefix,
  parseInterfaceAddress,
} from '../routing/prefix.ts';
import type { RouteConflict } from '../routing/route-plan.ts';
import { ipJson, numberOf, objectsOf, stringOf } from '../tun/command.ts';
import { KernelMonitor } from '../tun/kernel-monitor.ts';
import { chooseMtu } from '../tun/link.ts';
import { firewallTable } from '../tun/nftables.ts';
import { installPlainRoutes } from '../tun/routes.ts';
import { readSysctl } from '../tun/sysctl.ts';
import type { DeviceChange, PeerChange, PeerEndpoint } from '../wireguard/configuration.ts';
import { packAllowedIps } from './allowed-ip-records.ts';
import type { ConfigurationFile } from './configuration-file.ts';
import type { Attachment } from './daemon.ts';
import { resolveEndpoint } from './endpoint-resolver.ts';
import { runHooks } from './hooks.ts';
import { type DesiredKernel, KernelReconciler } from './kernel-reconciler.ts';
import type { Log } from './log.ts';
import { checkResolvconf, setResolver } from './resolver-configuration.ts';
import { encodeWgQuickConfiguration, replaceFile } from './save-configuration.ts';
import { noteSetup, reclaimSetup, removeSetup } from './setup-state.ts';
import { type Tunnel, TunnelError } from './tunnel.ts';
import { interfaceIndexOf } from './uapi/server.ts';

/** What all hooks of one kind may take while the tunnel ends; then they are killed. */
const ENDING_HOOKS_MS = 10_000;

const VALID_MARK = 'net.ipv4.conf.all.src_valid_mark';

export interface SetupOptions {
  readonly file: ConfigurationFile;
  readonly log: Log;
  /** Something the operator should know, although the tunnel comes up. */
  readonly onWarning: (message: string) => void;
}

/** Sets up an open tunnel from its file; the attachment takes it all away. */
export async function setUpTunnel(
  tunnel: Tunnel,
  options: SetupOptions,
  signal: AbortSignal,
): Promise<Attachment> {
  const setup = new TunnelSetup(tunnel, options);
  try {
    await setup.open(signal);
  } catch (error) {
    await setup.remove();
    throw error;
  }
  return setup;
}

class TunnelSetup implements Attachment {
  readonly #tunnel: Tunnel;
  readonly #options: SetupOptions;
  readonly #name: string;
  #reconciler: KernelReconciler | undefined;
  #monitor: KernelMonitor | undefined;
  /** Serializes re-planning, and keeps it from running into the removal. */
  #replanning: Promise<void> = Promise.resolve();
  #removed = false;

  constructor(tunnel: Tunnel, options: SetupOptions) {
    this.#tunnel = tunnel;
    this.#options = options;
    this.#name = tunnel.interfaceName;
  }

  async open(signal: AbortSignal): Promise<void> {
    void this.#tunnel.closed.then(() => this.#halt());
    const { file, log } = this.#options;
    const { configuration } = file;
    if (await reclaimSetup(this.#name)) log.info('removed what a killed predecessor left');
    if (configuration.dnsServers.length > 0) checkResolvconf();
    await runHooks('PreUp', configuration.preUp, this.#name, log, signal);
    const endpoints = await this.#resolveEndpoints(signal);
    const mtu = configuration.mtu ?? (await chooseMtu(endpoints.flatMap(addressText)));
    const prefixes = configuration.peers.flatMap((peer) => peer.allowedIps);
    const routed = configuration.table === 'auto' && prefixes.length > 0;
    const reconciler = await KernelReconciler.open({
      interfaceName: this.#name,
      log,
      ...(configuration.fwmark && { mark: configuration.fwmark }),
      onMark: (fwmark) => this.#tunnel.apply({ fwmark, peers: [] }),
    });
    this.#reconciler = reconciler;
    const mark = routed ? reconciler.mark : undefined;
    await this.#configure(mark ?? configuration.fwmark ?? 0, endpoints);
    if (configuration.dnsServers.length > 0) await this.#setResolver();
    await reconciler.reconcile(this.#desired(mtu, prefixes, endpoints, mark));
    this.#warn();
    if (routed) {
      this.#monitor = new KernelMonitor({
        addon: loadAddon(),
        interfaceName: this.#name,
        interfaceIndex: interfaceIndexOf(this.#name),
        table: () => reconciler.table,
        ownPort: reconciler.port,
        all: false,
        onChange: () => {
          this.#replanning = this.#replanning.then(() => this.#replan(reconciler));
        },
      });
      // What became of the main table before somebody watched it.
      this.#replanning = this.#replanning.then(() => this.#replan(reconciler));
      await this.#replanning;
    } else if (configuration.table !== 'off' && configuration.table !== 'auto') {
      await installPlainRoutes(this.#name, configuration.table, prefixes);
    }
    await this.#checkForwarding();
    signal.throwIfAborted();
    await runHooks('PostUp', configuration.postUp, this.#name, log, signal);
  }

  async beforeClose(): Promise<void> {
    const { file, log } = this.#options;
    const limit = AbortSignal.timeout(ENDING_HOOKS_MS);
    await runHooks('PreDown', file.configuration.preDown, this.#name, log, limit).catch(
      (error: unknown) => log.error({ err: error }, 'while ending'),
    );
    if (file.configuration.saveConfig) await this.#save();
  }

  async close(): Promise<void> {
    await this.remove();
  }

  async afterInterface(): Promise<void> {
    const { file, log } = this.#options;
    const limit = AbortSignal.timeout(ENDING_HOOKS_MS);
    await runHooks('PostDown', file.configuration.postDown, this.#name, log, limit);
  }

  /** Everything but hooks; also after a set-up that failed half-way. */
  async remove(): Promise<void> {
    this.#halt();
    await this.#replanning;
    await (this.#reconciler?.remove() ?? removeSetup(this.#name));
  }

  /** Nothing follows from what happens now: the interface is gone, or goes. */
  #halt(): void {
    this.#removed = true;
    this.#monitor?.close();
    this.#monitor = undefined;
    this.#reconciler?.halt();
  }

  async #resolveEndpoints(signal: AbortSignal): Promise<(PeerEndpoint | undefined)[]> {
    const { path, configuration } = this.#options.file;
    return Promise.all(
      configuration.peers.map(
        ({ endpoint, line }) =>
          endpoint && resolveEndpoint(endpoint, `${path}:${line}`, interfaceIndexOf, signal),
      ),
    );
  }

  async #configure(mark: number, endpoints: readonly (PeerEndpoint | undefined)[]): Promise<void> {
    const { configuration } = this.#options.file;
    const peers = configuration.peers.map((peer, i): PeerChange => {
      const endpoint = endpoints[i];
      return {
        publicKey: peer.publicKey,
        replaceAllowedIps: true,
        allowedIps: packAllowedIps(peer.allowedIps),
        ...(peer.presharedKey && { presharedKey: peer.presharedKey }),
        ...(endpoint && { endpoint }),
        ...(peer.persistentKeepalive !== undefined && {
          persistentKeepalive: peer.persistentKeepalive,
        }),
      };
    });
    const { privateKey, listenPort } = configuration;
    const change: DeviceChange = {
      ...(privateKey && { privateKey }),
      ...(listenPort !== undefined && { listenPort }),
      ...(mark !== 0 && { fwmark: mark }),
      replacePeers: true,
      peers,
    };
    try {
      await this.#tunnel.apply(change);
    } catch (error) {
      throw this.#explain(error, listenPort);
    }
  }

  #explain(error: unknown, port: number | undefined): unknown {
    if (!(error instanceof TunnelError)) return error;
    if (error.errno === 'EADDRINUSE') {
      const message = `UDP port ${port} is in use: end what uses it (\`ss -ulnp\` shows it), or set another ListenPort.`;
      return new CausewayError('PORT_IN_USE', message, { cause: error });
    }
    const message = `The configuration was refused: ${error.message}.`;
    return new CausewayError('CONFIG_VALUE', message, { cause: error });
  }

  async #setResolver(): Promise<void> {
    const { dnsServers, dnsSearch } = this.#options.file.configuration;
    await noteSetup(this.#name, { resolver: true });
    await setResolver(this.#name, dnsServers, dnsSearch);
  }

  /** The main table changed: what is local may be more, or less, than before. */
  async #replan(reconciler: KernelReconciler): Promise<void> {
    if (this.#removed) return;
    try {
      const known = new Set(reconciler.conflicts.map(describeConflict));
      reconciler.changed(['local']);
      await reconciler.reconcile();
      this.#warn(known);
    } catch (error) {
      this.#options.log.error({ err: error }, 'routes could not be adapted to the main table');
    }
  }

  /** Tells of what is missing, and of conflicts; after a change, of conflicts but the `known` ones. */
  #warn(known?: ReadonlySet<string>): void {
    for (const conflict of this.#reconciler?.conflicts ?? []) {
      const sentence = describeConflict(conflict);
      if (known?.has(sentence) !== true) this.#options.onWarning(sentence);
    }
    if (known !== undefined) return;
    for (const warning of this.#reconciler?.warnings ?? []) this.#options.onWarning(warning);
  }

  /** @param mark of the tunnel's datagrams; undefined: it has no routing table of its own */
  #desired(
    mtu: number,
    prefixes: readonly Prefix[],
    endpoints: readonly (PeerEndpoint | undefined)[],
    mark: number | undefined,
  ): DesiredKernel {
    const { addresses } = this.#options.file.configuration;
    const whole = mark === undefined ? [] : prefixes.filter(({ length }) => length === 0);
    const shielded = addresses.filter(({ family }) => whole.some((all) => all.family === family));
    // An answer from an endpoint that is itself routed into the tunnel fails strict reverse-path
    // filtering, unless it carries our mark and the kernel looks at that.
    const inside = endpoints.some((endpoint) =>
      prefixes.some((prefix) => endpoint && containsAddress(prefix, endpoint.address)),
    );
    const needsMark = mark !== undefined && (whole.length > 0 || inside);
    const firewall = firewallTable({
      interfaceName: this.#name,
      mtu,
      shielded,
      mark: needsMark ? mark : undefined,
    });
    // Without a default route the table only clamps TCP's segment size.
    const without = "TCP's segment size is not clamped to the tunnel's MTU.";
    return {
      mtu,
      addresses,
      prefixes: mark === undefined ? [] : [prefixes],
      outside: [],
      closed: [],
      tables: [whole.length > 0 ? firewall : { ...firewall, without }],
      settings: needsMark ? { [VALID_MARK]: '1' } : {},
    };
  }

  async #checkForwarding(): Promise<void> {
    if ((await readSysctl('net.ipv4.ip_forward')) === '0') {
      this.#options.log.info(
        'net.ipv4.ip_forward is 0: hosts behind this one cannot use the tunnel until it is 1',
      );
    }
  }

  async #save(): Promise<void> {
    const { path, configuration } = this.#options.file;
    const snapshot = this.#tunnel.snapshot();
    const live = await currentAddresses(this.#name);
    const addresses = live.length > 0 ? live : configuration.addresses;
    const automatic = configuration.fwmark ? 0 : (this.#reconciler?.mark ?? 0);
    const text = encodeWgQuickConfiguration(configuration, addresses, snapshot, automatic);
    await replaceFile(path, text);
  }
}

/** One sentence for the operator. */
function describeConflict({ prefix, local, outcome }: RouteConflict): string {
  const here = `${formatPrefix(local.prefix)} (${local.connected ? 'connected to' : 'routed by'} ${local.interfaceName})`;
  return outcome === 'not-installed'
    ? `${formatPrefix(prefix)} does not go through the tunnel: ${here} is local, and local wins.`
    : `Of ${formatPrefix(prefix)} the part ${here} stays local.`;
}

function addressText(endpoint: PeerEndpoint | undefined): string[] {
  return endpoint === undefined ? [] : [formatAddress(endpoint.address)];
}

/** The addresses that the interface has now, but for those that the kernel gave it itself. */
async function currentAddresses(interfaceName: string): Promise<InterfaceAddress[]> {
  const link = (await ipJson(['address', 'show', 'dev', interfaceName]))[0];
  return objectsOf(link?.addr_info)
    .filter((address) => !stringOf(address, 'protocol')?.startsWith('kernel'))
    .flatMap((address) => {
      const text = `${stringOf(address, 'local')}/${numberOf(address, 'prefixlen')}`;
      return parseInterfaceAddress(text) ?? [];
    });
}
