/** The end of a gateway of which parts cannot be closed. */
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import type { Enrolled } from '../../../../src/gateway/mesh/enrolment.ts';
import { MeshGateway } from '../../../../src/gateway/mesh/mesh-daemon.ts';
import type { MeshKernel } from '../../../../src/gateway/mesh/mesh-kernel.ts';
import type { MeshOptions } from '../../../../src/gateway/mesh/mesh-options.ts';
import { NetmapInForce } from '../../../../src/gateway/mesh/netmap-in-force.ts';
import { Turns } from '../../../../src/gateway/mesh/turns.ts';
import { FakeTunnel } from '../fake-tunnel.ts';

test('every part is closed and the kernel set back, whichever fails', async () => {
  const lines: { readonly what?: string }[] = [];
  const log = pino({ level: 'error' }, { write: (line) => void lines.push(JSON.parse(line)) });
  const inForce = vi.spyOn(NetmapInForce.prototype, 'close');
  const turns = vi.spyOn(Turns.prototype, 'close').mockRejectedValueOnce(new Error('no turn'));
  const remove = vi.fn(() => Promise.reject(new Error('no netlink')));
  const state = { path: '/nowhere', close: vi.fn(async () => {}) };
  const kernel = { remove, halt: () => {} } as unknown as MeshKernel;
  const gateway = new MeshGateway(new FakeTunnel('wg0'), kernel, {
    ...({ enrolled: { identity: {} } as Enrolled, state } as unknown as MeshOptions),
    ...{ mtu: 1_420, diagnosis: false, log },
    breakout: { connectors: [], families: [4, 6], fallback: 'refuse' },
  });
  const dependent = vi.fn(async () => {});
  gateway.closeFirst({
    close: () => {
      throw new Error('no port');
    },
  });
  gateway.closeFirst({ close: dependent });
  await gateway.close();
  expect(dependent).toHaveBeenCalledOnce();
  expect(turns).toHaveBeenCalled();
  expect(inForce).toHaveBeenCalledOnce();
  expect(lines.map(({ what }) => what)).toEqual(['dependent', 'flows']);
  await expect(gateway.afterInterface()).rejects.toThrow('no netlink');
  expect(remove).toHaveBeenCalledOnce();
  expect(state.close).toHaveBeenCalledOnce();
});
