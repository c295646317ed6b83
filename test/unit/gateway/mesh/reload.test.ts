/** What SIGHUP changes in a gateway that runs, and what it leaves. */
import { pino } from 'pino';
import { beforeEach, expect, test, vi } from 'vitest';
import { CausewayError } from '../../../../src/errors.ts';
import { sentenceOf } from '../../../../src/gateway/doctor/finding.ts';
import { sayReload } from '../../../../src/gateway/mesh/diagnosis.ts';
import { Reloader } from '../../../../src/gateway/mesh/reload.ts';
import {
  DEFAULT_SETTINGS,
  type GatewaySettings,
  type GivenSettings,
} from '../../../../src/gateway/mesh/settings.ts';

let lines: { readonly msg: string; readonly settings?: readonly string[] }[];
const log = pino({ level: 'info' }, { write: (line) => void lines.push(JSON.parse(line)) });
const advertise = vi.fn(async () => {});
const use = vi.fn(async (_: string | undefined) => {});
const answer = vi.fn(async () => {});
const breakOut = vi.fn(async () => {});
const useFlows = vi.fn(async () => {});

beforeEach(() => {
  lines = [];
  log.level = 'info';
  advertise.mockClear();
  use.mockClear();
  answer.mockClear();
  breakOut.mockClear();
  useFlows.mockClear();
  vi.stubEnv('LOG_LEVEL', undefined);
});

let made: Reloader;

/** What `status` says of it. */
const said = (): string[] => sayReload({ reloadFault: made.fault }).map(sentenceOf);

/** One that was started with `before`; each call reloads what it is given. */
function reloader(before: GivenSettings): (now: GivenSettings | Error) => Promise<void> {
  let now: GivenSettings | Error = before;
  const reread = async (): Promise<GatewaySettings> => {
    if (now instanceof Error) throw now;
    return { ...DEFAULT_SETTINGS, ...now };
  };
  const settings = { ...DEFAULT_SETTINGS, ...before };
  made = new Reloader({
    settings,
    reread,
    gateway: Promise.resolve({ advertise, answer, breakOut, useFlows }),
    metrics: Promise.resolve({ use }),
    log,
  });
  return (next) => {
    now = next;
    return made.reload();
  };
}

test('nothing when nothing changed', async () => {
  const reload = reloader({ advertise: ['10.1.0.0/16'] });
  await reload({ advertise: ['10.1.0.0/16'] });
  expect(advertise).not.toHaveBeenCalled();
  expect(lines).toMatchObject([{ msg: 'configuration reloaded', changed: [] }]);
});

test('prefixes, in canonical form and once for each change', async () => {
  const reload = reloader({});
  await reload({ advertise: ['10.1.0.9', '2001:DB8:0::/48'] });
  await reload({ advertise: ['10.1.0.9', '2001:DB8:0::/48'] });
  await reload({ advertise: ['0.0.0.0/0'], allowDefault: true });
  await reload({ advertise: [] });
  expect(advertise.mock.calls).toEqual([
    [['10.1.0.9/32', '2001:db8::/48'], false],
    [['0.0.0.0/0'], true],
    [[], false],
  ]);
  // Without the key they are as they were.
  await reload({});
  expect(advertise).toHaveBeenCalledTimes(3);
});

test('by whom Internet traffic leaves, checked before anything is applied', async () => {
  const reload = reloader({});
  await reload({ breakout: ['hq', 'dc2'], breakoutFamily: '4' });
  await reload({ breakout: ['hq', 'dc2'], breakoutFamily: '4' });
  await reload({ breakout: ['HQ'], advertise: ['10.1.0.0/16'], logLevel: 'debug' });
  await reload({ breakoutFallback: 'own' });
  expect(breakOut.mock.calls).toEqual([
    [{ connectors: ['hq', 'dc2'], families: [4], fallback: 'refuse' }],
    [{ connectors: [], families: [4, 6], fallback: 'own' }],
  ]);
  expect(advertise).not.toHaveBeenCalled();
  expect(lines.filter(({ msg }) => /next start/.test(msg))).toEqual([]);
});

test("whether other gateways' questions are answered", async () => {
  const reload = reloader({});
  await reload({ diagnosis: false });
  await reload({ diagnosis: false });
  await reload({});
  expect(answer.mock.calls).toEqual([[false], [true]]);
  expect(lines.filter(({ msg }) => /next start/.test(msg))).toEqual([]);
});

test('the log level; the environment wins', async () => {
  const reload = reloader({ logLevel: 'info' });
  await reload({ logLevel: 'debug' });
  expect(log.level).toBe('debug');
  await reload({});
  expect(log.level).toBe('info');
  vi.stubEnv('LOG_LEVEL', 'warn');
  await reload({ logLevel: 'trace' });
  expect(log.level).toBe('warn');
});

test('all stays as it was when a prefix is refused', async () => {
  const reload = reloader({ logLevel: 'info' });
  await reload({ logLevel: 'debug', advertise: ['0.0.0.0/0'] });
  expect(advertise).not.toHaveBeenCalled();
  expect(log.level).toBe('info');
  expect(lines).toMatchObject([{ msg: expect.stringMatching(/all stays as it was/) }]);
  await reload({ logLevel: 'debug' });
  expect(log.level).toBe('debug');
});

test('what only a start changes is said each time, until it is as it was', async () => {
  const reload = reloader({ mtu: 'auto', tokenFile: '/etc/causeway/token' });
  await reload({ mtu: 1_400, port: 51_820 });
  await reload({ mtu: 1_400 });
  await reload({});
  const said = lines.filter(({ msg }) => /next start/.test(msg)).map(({ settings }) => settings);
  expect(said).toEqual([['mtu', 'port'], ['mtu']]);
});

test('a file with a mistake changes nothing', async () => {
  const reload = reloader({});
  await reload(new CausewayError('CONFIG_VALUE', 'connector.toml:1: mtu is to be …'));
  expect(advertise).not.toHaveBeenCalled();
  expect(lines).toMatchObject([{ level: 50, msg: expect.stringMatching(/all stays as it was/) }]);
  await reload({ advertise: ['10.1.0.0/16'] });
  expect(advertise).toHaveBeenCalledTimes(1);
});

test('a reload that failed is told until one succeeds', async () => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 5), toFake: ['Date'] });
  const reload = reloader({});
  expect(said()).toEqual([]);
  await reload(new CausewayError('CONFIG_VALUE', '/etc/x.toml:1: mtu is to be a number.'));
  expect(said()).toEqual([
    'The reload of the configuration at 2026-01-02T03:04:05.000Z changed nothing: the settings of ' +
      'before stay in force. /etc/x.toml:1: mtu is to be a number. Put that right, then reload: ' +
      `\`kill -HUP ${process.pid}\`.`,
  ]);
  await reload({ metrics: 'everywhere' });
  expect(said()).toEqual([expect.stringMatching(/changed nothing.* everywhere/)]);
  advertise.mockRejectedValueOnce(new Error('ENOSPC: no space left on device.'));
  await reload({ advertise: ['10.1.0.0/16'] });
  expect(said()).toEqual([expect.stringMatching(/applied only in part\. ENOSPC: no space/)]);
  expect(lines.at(-1)).toMatchObject({ msg: 'the configuration was reloaded only in part' });
  await reload({ advertise: ['10.1.0.0/16'] });
  expect(said()).toEqual([]);
  expect(advertise).toHaveBeenCalledTimes(2);
  vi.useRealTimers();
});

test('what a reload applied before it failed, or left half way, goes back with the file', async () => {
  const before = { advertise: ['10.1.0.0/16'], breakout: ['hq'] };
  const reload = reloader(before);
  breakOut.mockRejectedValueOnce(new Error('spawn ip EAGAIN'));
  await reload({ advertise: ['10.2.0.0/16'], breakout: ['dc2'], diagnosis: false });
  await reload(before);
  expect(advertise.mock.calls).toEqual([
    [['10.2.0.0/16'], false],
    [['10.1.0.0/16'], false],
  ]);
  expect(breakOut.mock.calls).toMatchObject([[{ connectors: ['dc2'] }], [{ connectors: ['hq'] }]]);
  // It had not come to that.
  expect(answer).not.toHaveBeenCalled();
  await reload(before);
  expect(breakOut).toHaveBeenCalledTimes(2);
  // One that the file does not name, before and after.
  use.mockRejectedValueOnce(new Error('no module'));
  await reload({ ...before, metrics: '127.0.0.1:9780' });
  await reload(before);
  expect(use.mock.calls).toEqual([['127.0.0.1:9780'], [undefined]]);
});

test('where metrics are served, and nowhere without the key', async () => {
  const reload = reloader({ metrics: '127.0.0.1:9780' });
  await reload({ metrics: '127.0.0.1:9780' });
  await reload({ metrics: '[::1]:9781' });
  await reload({});
  await reload({ metrics: 'everywhere' });
  expect(use.mock.calls).toEqual([['[::1]:9781'], [undefined]]);
});

test('the flow log and the one-way detector, once for each change', async () => {
  const reload = reloader({});
  await reload({ flowLog: '/var/log/causeway/flows.jsonl' });
  await reload({ flowLog: '/var/log/causeway/flows.jsonl', flowLogFiles: 2 });
  await reload({ flowLog: '/var/log/causeway/flows.jsonl', flowLogFiles: 2 });
  await reload({ oneWayDetector: false });
  expect(useFlows.mock.calls).toMatchObject([
    [{ flowLog: '/var/log/causeway/flows.jsonl', flowLogFiles: 8, oneWayDetector: true }],
    [{ flowLog: '/var/log/causeway/flows.jsonl', flowLogFiles: 2 }],
    [{ oneWayDetector: false }],
  ]);
});

test('a place for metrics that is none changes nothing, whatever else is new', async () => {
  const reload = reloader({});
  await reload({ metrics: 'everywhere', advertise: ['10.1.0.0/16'], breakout: ['hq'] });
  expect(advertise).not.toHaveBeenCalled();
  expect(breakOut).not.toHaveBeenCalled();
});

test('two at once are one after the other: the file is in force as it was read last', async () => {
  const reload = reloader({});
  const { promise, resolve } = Promise.withResolvers<void>();
  advertise.mockImplementationOnce(() => promise);
  const first = reload({ advertise: ['10.1.0.0/16'], metrics: '127.0.0.1:1' });
  await vi.waitFor(() => expect(advertise).toHaveBeenCalled());
  const second = reload({ advertise: ['10.2.0.0/16'], metrics: '127.0.0.1:2' });
  await new Promise(setImmediate);
  resolve();
  await Promise.all([first, second]);
  expect(use.mock.calls).toEqual([['127.0.0.1:1'], ['127.0.0.1:2']]);
});
