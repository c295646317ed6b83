/** Brings a mesh up on an open tunnel: the kernel's side of it first, then the gateway. */
import { chooseMtu } from '../../tun/link.ts';
import { splitHostAndPort } from '../endpoint-text.ts';
import type { Tunnel } from '../tunnel.ts';
import type { Enrolled } from './enrolment.ts';
import { MeshGateway } from './mesh-daemon.ts';
import { MeshKernel } from './mesh-kernel.ts';
import type { MeshOptions } from './mesh-options.ts';

/** `auto`: what the way to the edges leaves. */
export type JoinOptions = Omit<MeshOptions, 'mtu'> & { readonly mtu: number | 'auto' };

/** Brings the mesh up on an open tunnel; the attachment takes it all away. */
export async function joinMesh(
  tunnel: Tunnel,
  joining: JoinOptions,
  signal: AbortSignal,
): Promise<MeshGateway> {
  const mtu = joining.mtu === 'auto' ? await edgesMtu(joining.enrolled) : joining.mtu;
  const options: MeshOptions = { ...joining, mtu };
  const { forwarding, log } = options;
  const { interfaceName } = tunnel;
  const onMark = (fwmark: number): Promise<void> => tunnel.apply({ fwmark, peers: [] });
  const kernel = await MeshKernel.open({ interfaceName, mtu, forwarding, log, onMark });
  const mesh = new MeshGateway(tunnel, kernel, options);
  try {
    await mesh.open();
    signal.throwIfAborted();
  } catch (error) {
    await mesh.close();
    await kernel
      .remove()
      .catch((failure: unknown) => log.error({ err: failure }, 'not all is gone'));
    throw error;
  }
  return mesh;
}

/** The MTU that the ways to the edges leave, as far as their addresses are known. */
function edgesMtu({ cached }: Enrolled): Promise<number> {
  const addresses = Object.values(cached?.resolved ?? {}).flatMap((text) => text.split(' '));
  return chooseMtu(addresses.map((address) => splitHostAndPort(address)?.host ?? address));
}
