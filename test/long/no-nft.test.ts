/**
 * A gateway on a host without `nft`, or with one that does not understand us: it says so, with what is
 * missing for it, and carries what can be carried. Two sites (lab/mesh-lab.ts); a is such a host.
 */
import { chmodSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CONNECTOR, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { reach } from '../../lab/ping.ts';
import { DIAGNOSIS_PORT } from '../../src/gateway/diagnosis/port.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { netnsSuite } from '../netns/suite.ts';

/** Everything of /usr/sbin but `nft`, in its place, for one program and what it starts. */
const WITHOUT = `
  mount -t tmpfs none "$0" && mkdir "$0/all" "$0/some" && mount --bind /usr/sbin "$0/all" &&
  ln -s "$0"/all/* "$0/some/" && rm "$0/some/nft" && mount --bind "$0/some" /usr/sbin && exec "$@"`;
const INSTEAD = 'mount --bind "$0" /usr/sbin/nft && exec "$@"';

netnsSuite('a host without nft', ['nft', 'unshare'], () => {
  test('traffic flows, and status says what is missing', { timeout: 90_000 }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    const [a, b] = mesh.sites as [Site, Site];
    await mesh.startEdge();
    await b.up('--token', await mesh.create(b));
    const token = await mesh.create(a);
    const old = a.gateway.file(
      'nft',
      '#!/bin/sh\necho "Error: syntax error, unexpected maxseg" >&2\nexit 1\n',
    );
    chmodSync(old, 0o755);
    const place = `${a.gateway.folder}/sbin`;
    await a.gateway.run(['mkdir', place]);
    for (const [script, argument, said] of [
      [
        WITHOUT,
        place,
        'The command nft is not here. Install it, on Debian with `apt install nftables`.',
      ],
      [INSTEAD, old, 'syntax error, unexpected maxseg'],
    ] as const) {
      const up = [CONNECTOR, 'up', '--state-dir', a.stateDirectory, '--token', token];
      const { code, stderr } = await a.gateway.attempt([
        ...['unshare', '-m', 'sh', '-c', script, argument],
        ...up,
      ]);
      expect(stderr).toContain("TCP's segment size is not clamped");
      expect(stderr).toContain(said);
      expect(code).toBe(0);
      await reach(a.host, b.address[4]);
      await reach(b.host, a.address[6]);
      const problems = (await a.status()).problems.join('\n');
      expect(problems).toContain("TCP's segment size is not clamped");
      expect(problems).toContain(said);
      expect(await a.gateway.run(['nft', 'list', 'ruleset'])).toBe('');
      // Its port for other gateways' questions is reached from the LAN, and nothing is read there.
      expect(problems).toContain('which are closed unread');
      const at = `${(await a.status()).mesh!.ipv4}/${DIAGNOSIS_PORT}`;
      const connect = `exec 3<>/dev/tcp/${at} && cat <&3`;
      const stranger = await a.host.attempt(['timeout', '5', 'bash', '-c', connect]);
      expect(stranger).toMatchObject({ code: 0, stdout: '' });
      const { diagnosis } = (await a.status()) as unknown as MeshStatus;
      expect(diagnosis?.stranger).toBe(1);
      await a.down();
    }
  });
});
