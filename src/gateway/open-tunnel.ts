/**
 * The one place that knows where the data plane is. It is loaded when a tunnel is opened, so that
 * `--help`, `status` and the parent of a background daemon need no native addon.
 */
import type { OpenTunnel } from './tunnel.ts';

/** Opens a tunnel of the real data plane. */
export const openTunnel: OpenTunnel = async (options) => {
  const dataPlane = await import('./data-plane/tunnel-process.ts');
  return dataPlane.openTunnel(options);
};
