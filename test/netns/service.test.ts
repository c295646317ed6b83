/**
 * A gateway as a service manager runs it: told by its configuration file, in the foreground, heard on
 * NOTIFY_SOCKET, reloaded by SIGHUP. Two sites, see lab/mesh-lab.ts.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CONNECTOR, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { NotifySocket } from '../../lab/notify-socket.ts';
import { ping, reach } from '../../lab/ping.ts';
import { netnsSuite } from './suite.ts';

netnsSuite('a gateway as a service', ['nft', 'sysctl', 'perl'], () => {
  test('ready when it forwards, reloaded without losing a packet', {
    timeout: 120_000,
  }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    await mesh.startEdge();
    const [a, b] = mesh.sites as [Site, Site];
    await b.up('--token', await mesh.create(b));
    const file = join(a.gateway.folder, 'connector.toml');
    const tokenFile = join(a.gateway.folder, 'token');
    writeFileSync(tokenFile, await mesh.create(a), { mode: 0o600 });
    const configuration = `token-file = "${tokenFile}"\nstate-dir = "${a.stateDirectory}"\n`;
    writeFileSync(file, configuration);
    await using socket = await NotifySocket.open(join(a.gateway.folder, 'notify'));
    const command = [CONNECTOR, 'up', '--foreground', '--config', file];
    const gateway = a.gateway.start(command, {
      NOTIFY_SOCKET: socket.address,
      WATCHDOG_USEC: '2000000',
    });
    await socket.process.line(/^READY=1$/, 30);
    await reach(a.host, b.address[4], 2);
    await socket.process.line(/^STATUS=a: .*1 peers \(1 in session\)$/, 30);

    const answers = ping(a.host, b.address[4], 400);
    writeFileSync(file, `${configuration}log-level = "debug"\nadvertise = ["10.77.0.0/16"]\n`);
    process.kill(gateway.pid, 'SIGHUP');
    await gateway.line(/"msg":"configuration reloaded"/);
    writeFileSync(file, `${configuration}mtu = 900\n`);
    process.kill(gateway.pid, 'SIGHUP');
    await gateway.line(/connector\.toml:3: mtu is .*all stays as it was/);
    const reloadFaults = async (): Promise<string[]> =>
      (await a.status()).problems.filter((text) => text.includes('reload'));
    expect(await reloadFaults()).toEqual([
      expect.stringMatching(/settings of before stay in force.*connector\.toml:3: mtu is .*-HUP/),
    ]);
    writeFileSync(file, `${configuration}mtu = 1400\nadvertise = ["10.78.0.0/16"]\n`);
    process.kill(gateway.pid, 'SIGHUP');
    await gateway.line(/"settings":\["mtu"\].*the next start/);
    expect(await reloadFaults()).toEqual([]);
    expect(await answers).toHaveLength(400);

    const advertised = async (): Promise<string[]> => {
      const { routes } = await a.status();
      return routes.filter(({ state }) => state === 'pending').map(({ prefix }) => prefix);
    };
    await expect.poll(advertised, { timeout: 20_000 }).toEqual(['10.78.0.0/16']);
    await socket.process.line(/^WATCHDOG=1$/);
    await gateway.stop('SIGTERM');
    await socket.process.line(/^STOPPING=1$/);
    const shown = async (): Promise<string> => mesh.connector('show', 'a');
    await expect.poll(shown, { timeout: 20_000 }).toMatch(/DOWN.*stopped on its host/s);
  });

  test('the edge says when its relay forwards', { timeout: 60_000 }, async () => {
    await using mesh = await MeshLab.open();
    await using socket = await NotifySocket.open(join(mesh.edge.folder, 'notify'));
    const command = [CONNECTOR, 'edge', 'run', '--data', mesh.dataDirectory];
    const edge = mesh.edge.start([...command, '--public', '203.0.113.10'], {
      NOTIFY_SOCKET: socket.address,
      WATCHDOG_USEC: '300000',
    });
    await socket.process.line(/^READY=1$/, 30);
    await socket.process.line(/^STATUS=0 of 0 gateways bound$/);
    await socket.process.line(/^WATCHDOG=1$/);
    await edge.stop('SIGTERM');
    await socket.process.line(/^STOPPING=1$/);
  });
});
