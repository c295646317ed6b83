/** The netmap in force, when what is asked of the host is not answered. */
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { EdgeEndpoints } from '../../../../src/gateway/mesh/edge-endpoints.ts';
import type { MeshKernel } from '../../../../src/gateway/mesh/mesh-kernel.ts';
import { NetmapInForce } from '../../../../src/gateway/mesh/netmap-in-force.ts';
import type { StateDirectory } from '../../../../src/gateway/mesh/state-directory.ts';
import { Turns } from '../../../../src/gateway/mesh/turns.ts';
import { ALLOWED_IP_RECORD } from '../../../../src/wireguard/configuration.ts';
import { FakeTunnel } from '../fake-tunnel.ts';
import { netmap } from './netmaps.ts';

const { exits } = vi.hoisted(() => ({ exits: { fail: false } }));
vi.mock('../../../../src/gateway/mesh/default-interfaces.ts', () => ({
  NO_EXITS: { interfaces: { 4: [], 6: [] }, beside: { 4: [], 6: [] } },
  isReversePathStrict: async () => false,
  readExits: async () => {
    if (exits.fail) throw new Error('spawn ip EAGAIN');
    return { interfaces: { 4: ['wan0'], 6: [] }, beside: { 4: [], 6: [] } };
  },
}));

test('what others took away is put back, and counts, although the ways out cannot be read', async () => {
  let isThere = true;
  const changed = vi.fn();
  const replan = vi.fn(async () => []);
  const kernel = {
    ...{ changed, replan, apply: async () => {}, halt: () => {} },
    hasTable: () => isThere,
  };
  const tunnel = new FakeTunnel('wg0');
  const inForce = new NetmapInForce({
    tunnel,
    kernel: kernel as unknown as MeshKernel,
    endpoints: new EdgeEndpoints(),
    state: {} as StateDirectory,
    mtu: 1_420,
    device: {},
    turns: new Turns(),
    breakout: { connectors: [], families: [4, 6], fallback: 'refuse' },
    answers: false,
    onEdges: async () => {},
    log: pino({ level: 'silent' }),
  });
  const cached = { netmap: netmap({ own: [['0.0.0.0/0', true]] }), resolved: {}, id: '1' };
  await inForce.open(cached, false);
  const before = tunnel.changes.length;
  exits.fail = true;
  isThere = false;
  const parts = new Set(['local', 'tables'] as const);
  await expect(inForce.kernelChanged(parts)).rejects.toThrow('EAGAIN');
  expect(changed).toHaveBeenCalledWith(parts);
  expect(replan).toHaveBeenCalledOnce();
  // The default route is taken from what packets out of the mesh may be for.
  const records = tunnel.changes
    .slice(before)
    .flatMap(({ destinations = [] }) => [...destinations]);
  expect(records.slice(0, 3)).toEqual([1, 4, 0]);
  expect(records).toHaveLength(ALLOWED_IP_RECORD);
  await inForce.close();
});
