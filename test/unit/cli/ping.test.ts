/** Whom `connector ping` goes to, and what it says where there is no ping. */
import { expect, test } from 'vitest';
import { find, refused } from '../../../src/cli/ping.ts';
import type { MeshStatus } from '../../../src/gateway/mesh/mesh-status.ts';

function side(name: string, number: number) {
  return { connector: name, mesh: { ipv4: `100.96.0.${number}`, ipv6: `fd00::${number}` } };
}

const GATEWAY = {
  interface: 'causeway0',
  ...side('', 1),
  connector: { name: 'berlin' },
  peers: [
    { ...side('paris', 2), serving: false, replica: 'standby' },
    { ...side('paris', 2), serving: true, replica: 'serving' },
  ],
} as unknown as MeshStatus;

test('by name or mesh IP, the replica that serves', () => {
  expect(find([GATEWAY], 'paris', false)).toMatchObject({
    address: '100.96.0.2',
    peer: { replica: 'serving' },
  });
  expect(find([GATEWAY], 'paris', true).address).toBe('fd00::2');
  expect(find([GATEWAY], 'fd00:0::2', false).address).toBe('fd00::2');
});

test('others are told apart: this gateway itself, a host, an unknown name', () => {
  for (const own of ['berlin', '100.96.0.1', 'fd00::1']) {
    expect(() => find([GATEWAY], own, false)).toThrow(/is this gateway itself, berlin/);
  }
  expect(() => find([GATEWAY], '10.2.0.10', false)).toThrow(/routes explain SRC 10\.2\.0\.10/);
  expect(() => find([GATEWAY], 'rome', false)).toThrow(/known from here are paris/);
});

test('a ping that may not run is told from one that is not here', () => {
  const failure = (code: string) => Object.assign(new Error(`spawn ${code}`), { code });
  expect(refused(failure('ENOENT'))).toMatchObject({ code: 'COMMAND_MISSING' });
  const { code, message } = refused(failure('EPERM'));
  expect(code).toBe('PERMISSION');
  expect(message).toContain('--cap-add NET_RAW');
});
