/** The life of a daemon around a tunnel without packets: sockets in a folder of the test. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NotifySocket } from '../../../lab/notify-socket.ts';
import { CausewayError } from '../../../src/errors.ts';
import {
  type Attachment,
  type DaemonEnd,
  type DaemonOptions,
  runDaemon,
} from '../../../src/gateway/daemon.ts';
import {
  requestExplanation,
  requestStatus,
  requestStop,
} from '../../../src/gateway/local-client.ts';
import { respond } from '../../../src/gateway/local-socket.ts';
import { ServiceManager } from '../../../src/gateway/service-manager.ts';
import { FakeTunnel } from './fake-tunnel.ts';

let folder: string;
let tunnel: FakeTunnel;
const log = pino({ level: 'silent' });
const uapi = (): string => join(folder, 'uapi/wg0.sock');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'daemon-'));
  tunnel = new FakeTunnel('wg0');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Starts one; resolves when it is ready. `ended` is its end. */
async function start(
  attach?: (signal: AbortSignal) => Promise<Attachment>,
  more: Partial<DaemonOptions> = {},
): Promise<{ ended: Promise<DaemonEnd> }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const ended = runDaemon({
    interfaceName: 'wg0',
    mtu: 1420,
    crypto: 'auto',
    log,
    openTunnel: async () => tunnel,
    onReady: resolve,
    uapiDirectory: join(folder, 'uapi'),
    runtimeDirectory: join(folder, 'run'),
    ...more,
    ...(attach && { attach: (_, signal) => attach(signal) }),
  });
  await Promise.race([promise, ended]);
  return { ended };
}

/** Everything that the daemon made is gone. */
function expectNothingLeft(): void {
  expect(tunnel.closeCalls).toBe(1);
  expect(existsSync(join(folder, 'uapi')) ? readdirSync(join(folder, 'uapi')) : []).toEqual([]);
  expect(existsSync(join(folder, 'run'))).toBe(false);
}

function ask(path: string, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(path, () => socket.end(text));
  let answer = '';
  socket.on('data', (part) => {
    answer += part;
  });
  socket.on('error', reject);
  socket.on('close', () => resolve(answer));
  return promise;
}

describe('ends', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('on %s, twice', async (signal) => {
    const { ended } = await start();
    process.emit(signal, signal);
    process.emit(signal, signal);
    expect(await ended).toEqual({ cause: 'signal', signal });
    expectNothingLeft();
    expect(process.listenerCount(signal)).toBe(0);
  });

  test('when the interface is removed', async () => {
    const { ended } = await start();
    tunnel.vanish();
    expect(await ended).toEqual({ cause: 'interface-removed' });
    expectNothingLeft();
  });

  test('when it is removed with routes and rules around it, which is an error', async () => {
    const { ended } = await start(async () => ({ close: async () => {} }));
    tunnel.vanish();
    const error = expect.objectContaining({ code: 'INTERFACE_REMOVED' });
    expect(await ended).toEqual({ cause: 'failed', error });
    expectNothingLeft();
  });

  test('when it is removed while it is set up, whatever that stumbles over', async () => {
    const { ended } = await start(async (signal) => {
      tunnel.vanish();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw new Error('Cannot find device "wg0"');
    });
    expect(await ended).toMatchObject({ error: { code: 'INTERFACE_REMOVED' } });
    expectNothingLeft();
  });

  test('when the socket is removed', async () => {
    const { ended } = await start();
    unlinkSync(uapi());
    expect(await ended).toEqual({ cause: 'socket-removed' });
    expectNothingLeft();
  });

  test('when another file takes its place, which stays', async () => {
    const { ended } = await start();
    unlinkSync(uapi());
    writeFileSync(uapi(), 'somebody else');
    expect(await ended).toEqual({ cause: 'socket-removed' });
    expect(readdirSync(join(folder, 'uapi'))).toEqual(['wg0.sock']);
  });

  test('when asked to, and answers when everything is gone', async () => {
    const { ended } = await start();
    expect(await requestStop('wg0', 'tunnel', [join(folder, 'run')])).toBe(true);
    expect(tunnel.closeCalls).toBe(1);
    expect(existsSync(uapi())).toBe(false);
    expect(await ended).toEqual({ cause: 'stop-requested' });
    expect(await requestStop('wg0', 'tunnel', [join(folder, 'run')])).toBe(false);
    expectNothingLeft();
  });
});

describe('another kind of daemon than was meant', () => {
  test('goes on, and the command that ends it is said', async () => {
    const directories = [join(folder, 'run')];
    for (const [kind, other, command] of [
      ['tunnel', 'gateway', 'connector tunnel down wg0'],
      ['gateway', 'tunnel', 'connector down --interface wg0'],
    ] as const) {
      tunnel = new FakeTunnel('wg0');
      const { ended } = await start(undefined, { kind });
      await expect(requestStop('wg0', other, directories)).rejects.toMatchObject({
        code: 'INTERFACE_MISSING',
        message: expect.stringContaining(`\`${command}\` ends it`),
      });
      expect(tunnel.closeCalls).toBe(0);
      expect(await requestStatus('wg0', directories)).toBeDefined();
      expect(await requestStop('wg0', kind, directories)).toBe(true);
      expect(await ended).toEqual({ cause: 'stop-requested' });
    }
  });
});

describe('under a service manager', () => {
  test('it hears of the start and the end, and the watchdog only what the data plane answers', async () => {
    await using socket = await NotifySocket.open(join(folder, 'notify'));
    const service = new ServiceManager(socket.address, 20);
    const { ended } = await start(undefined, { service, summary: () => 'all is well' });
    await socket.process.line(/^WATCHDOG=1$/);
    const hung = Promise.withResolvers<void>();
    tunnel.apply = () => {
      hung.resolve();
      return new Promise(() => {});
    };
    await hung.promise;
    const fed = socket.said.filter((line) => line === 'WATCHDOG=1').length;
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
    await socket.process.line(/^STOPPING=1$/);
    const said = socket.said.filter((line) => line !== 'WATCHDOG=1');
    expect(said).toEqual(['READY=1', 'STATUS=all is well', 'STOPPING=1']);
    // One may have been on its way when the data plane was stopped.
    expect(socket.said.filter((line) => line === 'WATCHDOG=1').length).toBeLessThanOrEqual(fed + 1);
  });

  test('SIGHUP reloads what has something to reload', async () => {
    await using socket = await NotifySocket.open(join(folder, 'notify'));
    const service = new ServiceManager(socket.address);
    let reloads = 0;
    const reload = async (): Promise<void> => void reloads++;
    const { ended } = await start(undefined, { service, reload });
    process.emit('SIGHUP', 'SIGHUP');
    await socket.process.line(/^RELOADING=1$/);
    process.emit('SIGTERM', 'SIGTERM');
    expect(await ended).toEqual({ cause: 'signal', signal: 'SIGTERM' });
    expect(reloads).toBe(1);
    await socket.process.line(/^STOPPING=1$/);
    expect(socket.said.filter((line) => line === 'READY=1')).toHaveLength(2);
  });
});

describe('attachment', () => {
  test('is closed before the interface, and told when that is gone', async () => {
    const order: string[] = [];
    const { ended } = await start(async () => ({
      close: async () => void order.push(`close, tunnel closed ${tunnel.closeCalls}`),
      afterInterface: async () => void order.push(`after, tunnel closed ${tunnel.closeCalls}`),
    }));
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
    expect(order).toEqual(['close, tunnel closed 0', 'after, tunnel closed 1']);
  });

  test('that fails takes everything down, with its own error', async () => {
    const error = new CausewayError('COMMAND_FAILED', 'no');
    const failed = start(() => Promise.reject(error));
    await expect(failed).rejects.toBe(error);
    expectNothingLeft();
  });

  test('one that cannot be closed does not keep the rest', async () => {
    const { ended } = await start(async () => ({
      close: () => Promise.reject(new Error('stuck')),
    }));
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
    expectNothingLeft();
  });

  test('is closed, too, when what comes before fails', async () => {
    const order: string[] = [];
    const { ended } = await start(async () => ({
      beforeClose: async () => {
        order.push('before');
        throw new Error('a hook failed');
      },
      close: async () => void order.push('close'),
    }));
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
    expect(order).toEqual(['before', 'close']);
    expectNothingLeft();
  });

  test('a signal while it is set up aborts it', async () => {
    const started = start(async (signal) => {
      process.emit('SIGTERM', 'SIGTERM');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return { close: async () => {} };
    });
    expect(await (await started).ended).toEqual({ cause: 'signal', signal: 'SIGTERM' });
    expectNothingLeft();
  });
});

describe('sockets', () => {
  test('exist with mode 0600 when it is ready', async () => {
    const { ended } = await start();
    expect(statSync(uapi()).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'run/wg0.sock')).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'run')).mode & 0o777).toBe(0o700);
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
  });

  test('a live one is refused, and left alone', async () => {
    mkdirSync(join(folder, 'uapi'));
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(uapi(), resolve));
    await expect(start()).rejects.toMatchObject({ code: 'SOCKET_IN_USE' });
    expect(readdirSync(join(folder, 'uapi'))).toEqual(['wg0.sock']);
    expect(tunnel.closeCalls).toBe(1);
    other.close();
  });

  test('one that is just ending is waited for', async () => {
    mkdirSync(join(folder, 'uapi'));
    const other = createServer((socket) => {
      socket.destroy();
      other.close();
    });
    await new Promise<void>((resolve) => other.listen(uapi(), resolve));
    const { ended } = await start();
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
    expectNothingLeft();
  });

  test('a file that is no socket is refused, and left alone', async () => {
    mkdirSync(join(folder, 'uapi'));
    writeFileSync(uapi(), 'precious');
    await expect(start()).rejects.toMatchObject({ code: 'SOCKET_IN_USE' });
    expect(readdirSync(join(folder, 'uapi'))).toEqual(['wg0.sock']);
  });

  test('UAPI: pipelined requests, half-closed, an incomplete one and an unknown one', async () => {
    const { ended } = await start();
    expect(await ask(uapi(), 'get=1\n\nset=1\nlisten_port=5\n\nget=1\n\n')).toBe(
      'errno=0\n\nerrno=0\n\nlisten_port=5\nerrno=0\n\n',
    );
    expect(await ask(uapi(), 'set=1\nlisten_port=6\n')).toBe('errno=-71\n\n');
    expect(await ask(uapi(), 'get=1\nx\n\n')).toBe('errno=22\n\n');
    expect(await ask(uapi(), 'set=1\nx=y\n\n')).toBe('errno=-22\n\n');
    expect(await ask(uapi(), 'hello\n')).toBe('errno=-71\n\n');
    expect(await ask(uapi(), 'get=1\n\n')).toBe('listen_port=5\nerrno=0\n\n');
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
  });

  test('status: no secrets, drops by reason', async () => {
    const { ended } = await start();
    tunnel.drops.push(['in_mac1', 3]);
    const secret = new Uint8Array(32).fill(0x55);
    await tunnel.apply({
      privateKey: secret,
      peers: [{ publicKey: new Uint8Array(32).fill(1), presharedKey: secret }],
    });
    const text = await ask(join(folder, 'run/wg0.sock'), '{"request":"status"}\n');
    expect(text).not.toContain('VVVV');
    expect(text).not.toContain('5555');
    const status = await requestStatus('wg0', [join(folder, 'run')]);
    expect(status).toMatchObject({
      interface: 'wg0',
      crypto: 'noble',
      offloads: ['tso'],
      peers: [{ presharedKey: true, allowedIpCount: 0 }],
      drops: [{ reason: 'in_mac1', packets: 3 }],
    });
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
    expect(await requestStatus('wg0', [join(folder, 'run')])).toBeUndefined();
  });

  test('who asks without end and does not wait is dropped; a few at once are answered', async () => {
    const { ended } = await start();
    const path = join(folder, 'run/wg0.sock');
    const few = await ask(path, '{"request":"status"}\n'.repeat(8));
    expect(few.trim().split('\n')).toHaveLength(8);
    const many = await ask(path, '{"request":"status"}\n'.repeat(1_000)).catch(() => '');
    expect(many).toBe('');
    expect(await requestStatus('wg0', [join(folder, 'run')])).toBeDefined();
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
  });

  test.each(['', 'x', 'null', '5', '{}', '{"request":"reboot"}', '{"request":', 'x'.repeat(5_000)])(
    'a wrong local request is answered with an error: %j',
    async (line) => {
      let called = 0;
      const never = (): never => {
        called++;
        throw new Error('not to be called');
      };
      const handlers = {
        status: never,
        mesh: never,
        explain: never,
        capture: never,
        stop: never,
      };
      expect(await respond(line, handlers, new Socket())).toHaveProperty('error');
      expect(called).toBe(0);
    },
  );

  test('a request has its arguments, and who answers refuses them with a code', async () => {
    const questions: unknown[] = [];
    const attachment: Attachment = {
      close: async () => {},
      explain: async (question) => {
        questions.push(question);
        throw new CausewayError('USAGE', 'One address is IPv4 and the other is IPv6.');
      },
    };
    const { ended } = await start(async () => attachment);
    const question = { source: '10.1.0.1', destination: '::1' };
    await expect(requestExplanation('wg0', question, [join(folder, 'run')])).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/^One address/),
    });
    expect(questions).toEqual([question]);
    process.emit('SIGTERM', 'SIGTERM');
    await ended;
  });
});

test('an interface name that cannot be is refused before anything is opened', async () => {
  const options = {
    ...{ interfaceName: 'a/b', mtu: 1420, crypto: 'auto' as const, log },
    openTunnel: () => Promise.reject(new Error('opened')),
    onReady: () => {},
  };
  await expect(runDaemon(options)).rejects.toMatchObject({ code: 'INTERFACE_NAME' });
});
