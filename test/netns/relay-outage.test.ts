/**
 * What changes under a mesh that is in use: the relay's process and sockets, a gateway's address, the
 * mapping of a NAT. The gaps are printed; a TCP connection lives through all of it,
 * from the first test to the last.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Probe } from '../../lab/probe.ts';
import { RELAY_PORT, RelayMesh } from '../../lab/relay-mesh.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { INNER } from '../../lab/tunnel-pair.ts';
import { netnsSuite } from './suite.ts';

function note(what: string, gap: number): void {
  process.stderr.write(`${what}: longest gap ${gap.toFixed(0)} ms\n`);
}

netnsSuite('relay outage', ['nft', 'ss'], () => {
  let mesh: RelayMesh;
  /** Sends a line over a connection from west to east, and waits until it comes back. */
  let echo: () => Promise<void>;
  beforeAll(async () => {
    mesh = await RelayMesh.open();
    await startService(mesh.east.namespace, 7);
    const stream = new ServiceClient(mesh.west.namespace, INNER.right, 7).stream();
    let lines = 0;
    echo = async () => {
      const line = `line ${++lines}`;
      const back = stream.nextLine(new RegExp(`^${line}$`), 20);
      stream.write(`${line}\n`);
      await back;
    };
    await echo();
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  test('the kernel takes the sockets of the relay away', async () => {
    const probe = await Probe.start(mesh.west.namespace, INNER.right);
    const reopened = mesh.relay.nextLine(/opened again/, 20);
    await mesh.edge.run(['ss', '-K', '-u', '-a', 'sport', '=', `:${RELAY_PORT}`]);
    await reopened;
    await echo();
    note('sockets of the relay killed', await probe.longestGap());
    const { bound, drops } = await mesh.statistics();
    expect(bound).toBe(2);
    expect(Object.fromEntries(drops).relay_unbound_source ?? 0).toBe(0);
    expect(mesh.relay.lines.filter((line) => line.includes('opened again'))).toHaveLength(1);
  });

  test.each(['west', 'east'] as const)(
    'the NAT before west forgets its mapping while %s asks',
    async (from) => {
      const to = from === 'west' ? INNER.right : INNER.left;
      const probe = await Probe.start(mesh[from].namespace, to);
      const before = await mesh.isBound(101);
      const moved = mesh.relay.nextLine(/^bound 101 (.*)/);
      await mesh.forgetMappings(1);
      expect((await moved)[1]).not.toBe(before);
      const gap = await probe.longestGap();
      note(`mapping forgotten, ${from} asks`, gap);
      // A second of silence on a machine with time; up to 20 s if it went unnoticed.
      expect(gap).toBeLessThan(4_000);
      await echo();
    },
  );

  test('a gateway gets another address', async () => {
    const probe = await Probe.start(mesh.west.namespace, INNER.right);
    const moved = mesh.relay.nextLine(/^bound 101/);
    await mesh.west.namespace.ip(
      'address del 192.168.1.2/24 dev eth0',
      'address add 192.168.1.77/24 dev eth0',
      'route replace default via 192.168.1.254',
    );
    await moved;
    const gap = await probe.longestGap();
    note('another address', gap);
    expect(gap).toBeLessThan(2_000);
    await echo();
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('the relay restarts after %s', async (signal) => {
    const probe = await Probe.start(mesh.west.namespace, INNER.right);
    // A killed one leaves what it wrote some seconds after the last change.
    for (let i = 0; signal === 'SIGKILL' && i < 60; i++) await probe.answered();
    const stopped = performance.now();
    await mesh.relay.stop(signal);
    await mesh.startRelay();
    const away = performance.now() - stopped;
    const gap = await probe.longestGap();
    note(`relay restarted after ${signal} in ${away.toFixed(0)} ms`, gap);
    // What is the relay's to lose is what comes on top of the start of its process.
    expect(gap).toBeLessThan(Math.max(3_000, away + 2_000));
    await echo();
    const { bound, drops } = await mesh.statistics();
    expect(bound).toBe(2);
    expect(Object.fromEntries(drops).relay_unbound_source ?? 0).toBe(0);
  });
});
