/**
 * TUN devices of the real kernel, each in a namespace of its own where only a mirror lives:
 *
 *   client ── 10.5.0.1 mirror-tun ── programs/tun-mirror.ts: source ⇄ destination ──┐
 *   server ── 10.5.0.1 mirror-tun ──────────── as if 10.5.0.2 had asked ────────────┘
 */
import { constants } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { missing } from '../../lab/implementation.ts';
import { Namespace } from '../../lab/namespace.ts';
import type { Process } from '../../lab/process.ts';
import { programPath, sanitized } from './addon-under-test.ts';

const lack = missing();
const open: Namespace[] = [];

afterEach(() => {
  for (const namespace of open.splice(0)) namespace.close();
});

async function namespaceOf(label: string): Promise<Namespace> {
  const namespace = await Namespace.open(label);
  open.push(namespace);
  return namespace;
}

const startProgram = (namespace: Namespace, program: string, ...args: string[]): Process =>
  namespace.start([process.execPath, programPath(program), ...args]);

interface Seen {
  readonly largest: number;
  readonly read: number;
  readonly written: number;
  readonly packets: number;
  readonly dropped: number;
}

class Mirror {
  readonly namespace: Namespace;
  readonly program: Process;

  private constructor(namespace: Namespace, program: Process) {
    this.namespace = namespace;
    this.program = program;
  }

  static async start(offload: boolean): Promise<Mirror> {
    const namespace = await namespaceOf('mirror');
    const program = startProgram(namespace, 'tun-mirror', 'mirror-tun', String(offload));
    program.write('name\n');
    await program.line(/^name mirror-tun$/, 30);
    await namespace.ip(
      'address add 10.5.0.1/24 dev mirror-tun',
      'address add fd05::1/64 dev mirror-tun nodad',
      'link set mirror-tun up',
    );
    // A mirror sends what a host would take for its own packets coming back.
    await namespace.sysctl({ 'net.ipv4.conf.mirror-tun.accept_local': 1 });
    return new Mirror(namespace, program);
  }

  async transfer(own: string, peer: string, bytes: number): Promise<Seen> {
    this.program.write(`transfer ${own} ${peer} ${bytes}\n`);
    const [, whole, seen] = await this.program.nextLine(/^transferred (\S+) (.*)$/, 60);
    expect(whole).toBe('true');
    return JSON.parse(seen!) as Seen;
  }

  async datagrams(peer: string, count: number, size: number): Promise<[number, Seen]> {
    this.program.write(`datagrams ${peer} ${count} ${size}\n`);
    const found = await this.program.nextLine(/^received (\d+) (\d+) (.*)$/, 30);
    expect(Number(found[1])).toBe(count);
    return [Number(found[2]), JSON.parse(found[3]!) as Seen];
  }
}

const title = lack ? `TUN (skipped: ${lack})` : 'TUN';
describe.skipIf(lack)(title, { timeout: 90_000 }, () => {
  const bytes = sanitized ? 2_000_000 : 10_000_000;

  it('hands over TCP super-packets, and takes them back', async () => {
    const mirror = await Mirror.start(true);
    for (const [own, peer] of [
      ['10.5.0.1', '10.5.0.2'],
      ['fd05::1', 'fd05::2'],
    ] as const) {
      const seen = await mirror.transfer(own, peer, bytes);
      expect(seen.dropped).toBe(0);
      expect(seen.largest).toBeGreaterThan(10);
      // Split and gathered again, it is about as few writes as there were reads.
      expect(seen.packets).toBeGreaterThan(bytes / 1400);
      expect(seen.read).toBeLessThan(seen.packets / 2);
      expect(seen.written).toBeLessThan(seen.packets / 2);
    }
    await mirror.program.stop();
  });

  it('does the same packet by packet without offloads', async () => {
    const mirror = await Mirror.start(false);
    for (const [own, peer] of [
      ['10.5.0.1', '10.5.0.2'],
      ['fd05::1', 'fd05::2'],
    ] as const) {
      const seen = await mirror.transfer(own, peer, 500_000);
      expect(seen.dropped).toBe(0);
      expect(seen.largest).toBe(1);
      expect(seen.read).toBe(seen.packets);
      expect(seen.written).toBe(seen.packets);
    }
    await mirror.program.stop();
  });

  it('hands over UDP super-packets where the kernel has USO', async () => {
    const mirror = await Mirror.start(true);
    const [runs, seen] = await mirror.datagrams('10.5.0.2', 40, 1200);
    expect(seen.dropped).toBe(0);
    expect(seen.packets).toBe(40);
    // Linux 6.2; before it, one by one.
    if (seen.largest > 1) {
      expect(seen).toMatchObject({ largest: 40, read: 1, written: 1 });
      expect(runs).toBe(40); // Each begins with other bytes.
    }
    await mirror.program.stop();
  });

  it('tells the kernel that a packet is too long, and the kernel believes it', async () => {
    const { program, namespace } = await Mirror.start(true);
    program.write('limit 1200\n');
    await program.line(/^limited$/);
    for (const [peer, mtu] of [
      ['10.5.0.2', 1_200],
      ['fd05::2', 1_280],
    ] as const) {
      const ping = ['ping', '-c', '1', '-W', '5', '-M', 'do', '-s', '1300', peer];
      const { stdout } = await namespace.attempt(ping);
      expect(stdout).toContain(`From ${peer} `);
      // Without the sanitizers of our addon, which find a fault of ip's own (copying a name onto itself).
      const route = ['env', '-u', 'LD_PRELOAD', 'ip', 'route', 'get', peer];
      expect(await namespace.run(route)).toContain(`mtu ${mtu}`);
    }
    await program.stop();
  });

  it('is found under another name and in another namespace, and its links are watched there', async () => {
    const mirror = await Mirror.start(true);
    const { program } = mirror;
    const elsewhere = await namespaceOf('elsewhere');
    await mirror.namespace.ip(
      'link set mirror-tun down',
      'link set mirror-tun name moved-tun',
      `link set moved-tun netns ${elsewhere.name}`,
    );
    program.write('name\n');
    await program.line(/^name moved-tun$/);
    program.write('watch\n');
    await program.line(/^watching true$/);
    const change = program.nextLine(/^link moved-tun$/);
    await elsewhere.ip('link set moved-tun up');
    await change;
    await program.stop();
  });

  it('does not take a name that is taken', async () => {
    const { program } = await Mirror.start(true);
    program.write('again\n');
    const [, fd, error] = await program.line(/^again (\S+) (\S+)$/);
    expect(fd).toBe('-1');
    expect([constants.errno.EBUSY, constants.errno.EEXIST]).toContain(Number(error));
    await program.stop();
  });

  it('leaves no descriptor behind, opened or refused', async () => {
    const namespace = await namespaceOf('leak');
    const program = startProgram(namespace, 'tun-leak', '40');
    await program.line(/^left over: 0$/, 60);
    await program.exited;
  });
});
