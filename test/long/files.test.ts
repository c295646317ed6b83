/**
 * Files across two sites (lab/mesh-lab.ts) with the servers that people have, and that their own
 * logs name the client by its own address: FTP in active mode, where the server connects back to an
 * address that the client sends as text; SMB; ten gigabytes by one TCP connection.
 *
 *   client ── gateway a ── nat ── internet ── nat ── gateway b ── server
 *   10.1.0.10                        │                           10.2.0.10
 *                                  edge
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listens, startFtp, startSmb } from '../../lab/applications.ts';
import { MeshLab, type Site } from '../../lab/mesh-lab.ts';
import type { Namespace } from '../../lab/namespace.ts';
import { reach } from '../../lab/ping.ts';
import { netnsSuite } from '../netns/suite.ts';

const PASSIVE = [50_000, 50_009] as const;
const GIGABYTES = 10;
const MEGABYTES = 20;

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** A file of random bytes; its path. */
function randomFile(namespace: Namespace, name: string): string {
  const path = join(namespace.folder, name);
  writeFileSync(path, randomBytes(MEGABYTES * 1_000_000));
  return path;
}

netnsSuite(
  'files across two sites',
  ['nft', 'ss', 'curl', 'vsftpd', 'smbd', 'smbclient', 'smbstatus', 'socat', 'openssl'],
  () => {
    let mesh: MeshLab;
    let a: Site;
    let b: Site;
    beforeAll(async () => {
      mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
      await mesh.startEdge();
      await mesh.joinAll();
      [a, b] = mesh.sites as [Site, Site];
      await reach(a.host, b.address[4]);
    });
    afterAll(() => mesh?.[Symbol.asyncDispose]());

    async function setPolicy(version: number, rules: string): Promise<void> {
      const text = `{ "default": "deny", "rules": [${rules}] }`;
      await mesh.connector('policy', 'set', mesh.edge.file('policy.json', text));
      for (const site of mesh.sites) {
        const enforced = async (): Promise<unknown> =>
          ((await site.status()) as { policy?: { version: number } }).policy?.version;
        await expect.poll(enforced, { timeout: 20_000 }).toBe(version);
      }
    }

    test('SMB: both ways, and the server knows who is connected', async () => {
      const server = await startSmb(b.host);
      const sent = randomFile(a.host, 'sent');
      const got = join(a.host.folder, 'got');
      const smbclient = ['smbclient', '-N', '-m', 'SMB3', `//${b.address[4]}/files`];
      const work = `put ${sent} file; get file ${got}`;
      await a.host.run([...smbclient, '-c', work], { seconds: 60 });
      expect(digest(join(server.files, 'file'))).toBe(digest(sent));
      expect(digest(got)).toBe(digest(sent));
      expect(server.log()).toMatch(
        new RegExp(`\\(ipv4:${a.address[4]}:\\d+\\)[^\\n]*connect to service files`),
      );
      const client = a.host.start(smbclient);
      const connected = async (): Promise<string[]> => {
        const list = ['smbstatus', `--configfile=${server.settings}`, '--json'];
        const { sessions = {} } = JSON.parse(await b.host.run(list)) as {
          sessions?: Record<string, { remote_machine: string }>;
        };
        return Object.values(sessions).map((session) => session.remote_machine);
      };
      await expect.poll(connected, { timeout: 30_000 }).toEqual([a.address[4]]);
      await client.stop();
    });

    test(`${GIGABYTES} GB by TCP, and every byte of it right`, { timeout: 900_000 }, async () => {
      const bytes = GIGABYTES * 1_000_000_000;
      // A stream that repeats nowhere, and that both sides can make.
      const cipher = `openssl enc -aes-128-ctr -nosalt -in /dev/zero -K ${'17'.repeat(16)} -iv ${'00'.repeat(16)} 2>/dev/null`;
      const stream = `${cipher} | head -c ${bytes}`;
      const shell = (text: string): string[] => ['bash', '-c', text];
      const wanted = await b.host.run(shell(`${stream} | b2sum`), { seconds: 300 });
      const server = b.host.start(shell('socat -d -d -b 262144 -u TCP4-LISTEN:7000 - | b2sum'));
      await listens(b.host, 7_000, server);
      const started = performance.now();
      const send = `${stream} | socat -b 262144 -u - TCP4:${b.address[4]}:7000`;
      const sending = a.host.run(shell(send), { seconds: 600 });
      const [, from] = await server.line(/accepting connection from AF=2 ([\d.]+):\d+/, 30);
      await sending;
      const [sum] = await server.line(/^[0-9a-f]{128} .*$/, 60);
      const seconds = (performance.now() - started) / 1000;
      process.stdout.write(
        `${GIGABYTES} GB in ${seconds.toFixed(0)} s, ${((bytes * 8) / seconds / 1e6).toFixed(0)} Mbit/s\n`,
      );
      expect(from).toBe(a.address[4]);
      expect(`${sum}\n`).toBe(wanted);
    });

    // Last, because its policy stays in force.
    test('FTP: the server connects back, with and without a policy', async () => {
      const server = await startFtp(b.host, PASSIVE);
      const sent = randomFile(a.host, 'sent');
      const got = join(a.host.folder, 'got');
      const url = `ftp://${b.address[4]}/files`;
      const curl = (...args: string[]) =>
        a.host.attempt(['curl', '-sS', '--connect-timeout', '5', ...args], { seconds: 60 });
      const active = ['--ftp-port', '-', '--disable-eprt'];

      expect(await curl(...active, '-T', sent, `${url}/active`)).toMatchObject({ code: 0 });
      expect(digest(join(server.files, 'active'))).toBe(digest(sent));
      expect(await curl(...active, '-o', got, `${url}/active`)).toMatchObject({ code: 0 });
      expect(digest(got)).toBe(digest(sent));
      const client = `Client "(::ffff:)?${a.address[4].replaceAll('.', '\\.')}"`;
      expect(server.log()).toMatch(new RegExp(`CONNECT: ${client}`));
      expect(server.log()).toMatch(new RegExp(`OK UPLOAD: ${client}, "/files/active"`));
      expect(server.log()).toMatch(new RegExp(`OK DOWNLOAD: ${client}, "/files/active"`));
      const clients = new Set([...server.log().matchAll(/Client "([^"]+)"/g)].map((one) => one[1]));
      expect(clients.size).toBe(1);

      // What the control connection announces is a flow of its own: nothing reads along.
      const control =
        '{ "action": "allow", "from": "a", "to": "b", "protocol": "tcp", "ports": 21 }';
      await setPolicy(1, control);
      expect((await curl('-m', '4', ...active, `${url}/active`)).code).not.toBe(0);
      expect((await curl('-m', '4', `${url}/active`)).code).not.toBe(0);
      const back =
        '{ "action": "allow", "from": "b", "to": "a", "protocol": "tcp", "ports": "1024-65535" }';
      await setPolicy(2, `${control}, ${back}`);
      expect(await curl(...active, '-o', got, `${url}/active`)).toMatchObject({ code: 0 });
      const range = `{ "action": "allow", "from": "a", "to": "b", "protocol": "tcp", "ports": "${PASSIVE.join('-')}" }`;
      await setPolicy(3, `${control}, ${range}`);
      expect(await curl('-o', got, `${url}/active`)).toMatchObject({ code: 0 });
      expect((await curl('-m', '4', ...active, `${url}/active`)).code).not.toBe(0);
    });
  },
);
