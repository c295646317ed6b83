/** connector.toml: what it says, and every mistake in it with line and remedy. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upCommand } from '../../../../src/cli/up.ts';
import { encodeJoinToken } from '../../../../src/control/join-token.ts';
import { connectorIdSchema } from '../../../../src/control/model.ts';
import { joinSecretText } from '../../../../src/control/secrets.ts';
import { closestName } from '../../../../src/gateway/mesh/closest-name.ts';
import {
  checkFlowLog,
  DEFAULT_SETTINGS,
  mergeSettings,
} from '../../../../src/gateway/mesh/settings.ts';
import {
  checkSettings,
  readSettingsFile,
  SETTING_KEYS,
} from '../../../../src/gateway/mesh/settings-file.ts';
import { keyLines } from '../../../../src/gateway/mesh/toml-statements.ts';
import { keyToBase64 } from '../../../../src/keys.ts';

const ROOT = join(import.meta.dirname, '../../../..');

const TOKEN = encodeJoinToken({
  connector: connectorIdSchema.parse('0b2c9a8e-6f0d-4c55-9b53-4f6f1b9f4f10'),
  secret: joinSecretText(1, new Uint8Array(24).fill(7)),
  urls: ['https://edge.example.com:8443'],
  tlsPin: null,
  edgePublicKey: keyToBase64(new Uint8Array(32).fill(7)),
});

const ALL = `# A gateway of Berlin
token-file = "/etc/causeway/token"
advertise = [
  "10.1.0.0/16", # the site
  "2001:db8:1::/48",
]
allow-default = false
breakout = ["hq", "dc2"]
breakout-family = "4"
breakout-fallback = "own"
name = "berlin-1"
interface = "mesh0"
state-dir = "/srv/causeway"
mtu = 1380
port = 51820
forwarding = false
diagnosis = false
crypto = "noble"
metrics = "[::1]:9780"
flow-log = "syslog"
flow-log-size = 16
flow-log-files = 3
one-way-detector = false
log-level = "debug"
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const mistakesIn = (text: string, readableByOthers = false) =>
  checkSettings(text, readableByOthers).mistakes;

describe('what it says', () => {
  test('every key', () => {
    expect(checkSettings(ALL)).toEqual({
      settings: {
        tokenFile: '/etc/causeway/token',
        advertise: ['10.1.0.0/16', '2001:db8:1::/48'],
        allowDefault: false,
        breakout: ['hq', 'dc2'],
        breakoutFamily: '4',
        breakoutFallback: 'own',
        name: 'berlin-1',
        interface: 'mesh0',
        stateDir: '/srv/causeway',
        mtu: 1380,
        port: 51820,
        forwarding: false,
        diagnosis: false,
        crypto: 'noble',
        metrics: '[::1]:9780',
        flowLog: 'syslog',
        flowLogSize: 16,
        flowLogFiles: 3,
        oneWayDetector: false,
        logLevel: 'debug',
      },
      mistakes: [],
    });
    expect(checkSettings('')).toEqual({ settings: {}, mistakes: [] });
    expect(checkSettings(`token = "${TOKEN}"`).mistakes).toEqual([]);
  });

  test('its keys are the options of `connector up`, and the log level', () => {
    const options = upCommand().options.map(({ long }) => long!.replace(/^--(no-)?/, ''));
    const keys = options.filter((name) => name !== 'config' && name !== 'foreground');
    expect(SETTING_KEYS.toSorted()).toEqual([...keys, 'log-level'].toSorted());
  });

  test('the example in packaging has every key but the token itself, with its default', () => {
    const example = readFileSync(join(ROOT, 'packaging/connector.toml'), 'utf8');
    expect(checkSettings(example)).toEqual({ settings: {}, mistakes: [] });
    const spoken = example.replaceAll(/^#(?=[a-z-]+ = )/gm, '');
    const { settings, mistakes } = checkSettings(spoken);
    expect(mistakes).toEqual([]);
    expect(Object.keys(parse(spoken)).toSorted()).toEqual(
      SETTING_KEYS.filter((key) => key !== 'token').toSorted(),
    );
    expect(settings).toMatchObject(DEFAULT_SETTINGS);
  });

  test('the command line wins, a token of either form over both of the file', () => {
    const file = checkSettings(ALL).settings;
    expect(mergeSettings({}, {})).toEqual(DEFAULT_SETTINGS);
    expect(mergeSettings({ mtu: 1400, forwarding: true }, file)).toMatchObject({
      mtu: 1400,
      forwarding: true,
      port: 51820,
      tokenFile: '/etc/causeway/token',
    });
    expect(mergeSettings({ token: TOKEN }, file).tokenFile).toBeUndefined();
    expect(mergeSettings({ tokenFile: '-' }, { token: TOKEN }).token).toBeUndefined();
  });
});

test('a flow log goes to a file by its whole path, or to syslog', () => {
  for (const target of ['syslog', '/var/log/causeway/flows.jsonl', '/f']) checkFlowLog(target);
  for (const target of ['', '/', 'flows.jsonl', './f', 'Syslog', '/var/log/', '/a\0b']) {
    expect(() => checkFlowLog(target)).toThrow('an absolute path or "syslog"');
  }
});

describe('what is wrong', () => {
  test('all of it at once, in the order of the lines', () => {
    const text = `mtu = 900
advertize = ["10.1.0.0/16"]
port = "51820"

crypto = "rot13"
token-file = "token"
[gateway]
name = "x"
`;
    expect(mistakesIn(text).map(({ line, code, message }) => `${line} ${code} ${message}`)).toEqual(
      [
        '1 CONFIG_VALUE mtu is to be a whole number from 1280 to 65440, without quotes.',
        '2 CONFIG_SYNTAX There is no key "advertize": did you mean advertise?',
        '3 CONFIG_VALUE port is to be a whole number from 0 to 65535, without quotes.',
        '5 CONFIG_VALUE crypto is to be one of "auto", "noble", "openssl".',
        '6 CONFIG_VALUE token-file is to be an absolute path, as "/etc/causeway/token".',
        expect.stringMatching(/^7 CONFIG_SYNTAX There is no key "gateway": known are token, /),
      ],
    );
  });

  test.each([
    ['a prefix', 'advertise = ["10.1.0.0/33"]', /10\.1\.0\.0\/33 is no prefix/],
    ['host bits', 'advertise = ["10.1.2.3/16"]', /did you mean 10\.1\.0\.0\/16\?/],
    ['a default route', 'advertise = ["::/0"]', /add allow-default = true/],
    ['no connector', 'breakout = ["10.0.0.1"]', /"10\.0\.0\.1" cannot be a connector: breakout/],
    ['no family', 'breakout-family = 4', /breakout-family is to be one of "both", "4", "6"/],
    ['a relative path', 'flow-log = "flows"', /flow-log is to be an absolute path or "syslog"/],
    ['a size', 'flow-log-size = 0', /flow-log-size is to be a whole number from 1/],
    ['no list', 'advertise = "10.1.0.0/16"', /to be a list of prefixes, as \["10/],
    ['an interface', 'interface = "sixteen-bytes-xx"', /it has more than 15 bytes/],
    ['a name', 'name = "two words"', /name is to be a name in quotes/],
    ['text for a truth', 'forwarding = "no"', /true or false, without quotes/],
    ['a token and its file', `token = "${TOKEN}"\ntoken-file = "/t"`, /keep one of the two/],
    ['a damaged token', 'token = "cwj1_x"', /token/],
    ['no TOML', 'mtu 1280', /This is no TOML: .*key = value/],
    ['a line of its own', 'log-level = "loud"', /one of "silent"/],
  ])('%s', (_, text, message) => {
    const mistakes = mistakesIn(text);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]!.message).toMatch(message);
  });

  test('a value of the wrong kind hides no other mistake', () => {
    const text = 'mtu = 900\nadvertise = ["10.1.2.3/16"]\ninterface = "a b"\nstate-dir = "x"\n';
    expect(mistakesIn(text).map(({ message }) => message)).toEqual([
      expect.stringMatching(/^mtu is to be/),
      expect.stringMatching(/did you mean 10\.1\.0\.0\/16/),
      expect.stringMatching(/^interface is to be/),
      'state-dir is to be an absolute path, as "/var/lib/causeway".',
    ]);
  });

  test('a line that is no TOML hides no other mistake', () => {
    const text = 'name = berlin\nmtu = 900\nstate-dir = "/srv"\nport = 1 2\n';
    expect(mistakesIn(text).map(({ line }) => line)).toEqual([1, 2, 4]);
    expect(mistakesIn('advertise = [\n"10.1.0.0/16",\nmtu = 900\n')).toHaveLength(1);
  });

  test('a token that others can read, which no message repeats', () => {
    const [mistake, ...others] = mistakesIn(`\ntoken = "${TOKEN}"`, true);
    expect(others).toEqual([]);
    expect(mistake).toMatchObject({ line: 2, code: 'CONFIG_VALUE' });
    expect(mistake!.message).toMatch(/token-file.*chmod 600/);
    const damaged = mistakesIn(`token = "${TOKEN.slice(0, -3)}"`);
    expect(damaged[0]!.code).toBe('JOIN_TOKEN_DAMAGED');
    expect(JSON.stringify(damaged)).not.toContain(TOKEN.slice(6, 20));
  });

  test('the first one stops a start, and says how many more there are', async () => {
    const file = join(folder, 'connector.toml');
    writeFileSync(file, 'mtu = 900\nport = -1\n');
    await expect(readSettingsFile(file)).rejects.toThrow(
      /connector\.toml:1: mtu is .* There are 1 more: `connector config check`/,
    );
    writeFileSync(file, `token = "${TOKEN}"\n`);
    chmodSync(file, 0o644);
    await expect(readSettingsFile(file)).rejects.toThrow(/:1: Others than the owner/);
    chmodSync(file, 0o600);
    expect(await readSettingsFile(file)).toEqual({ token: TOKEN });
    await expect(readSettingsFile(join(folder, 'none'))).rejects.toThrow(/no such file/);
    await expect(readSettingsFile(folder)).rejects.toMatchObject({ code: 'FILE_ACCESS' });
  });
});

describe('lines of keys', () => {
  test('behind values of several lines, comments and tables', () => {
    const text = `a = """\nb = 1\n"""\n# c = 1\n\nd = [\n 1,\n]\n[t]\ne = 1\n[t.u]\nf = '''\n[x]'''\n`;
    expect(Object.fromEntries(keyLines(text))).toEqual({
      a: 1,
      d: 6,
      t: 9,
      't.e': 10,
      't.u': 11,
      't.u.f': 12,
    });
  });

  test('any text is looked at without an exception', () => {
    const line = fc.oneof(
      fc.constantFrom(
        'mtu = 1280',
        'advertise = [',
        ']',
        '"10.1.0.0/16",',
        '[t]',
        'x = """',
        '"""',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        const text = lines.join('\n');
        for (const { line: at } of checkSettings(text).mistakes) {
          expect(at).toBeGreaterThanOrEqual(1);
          expect(at).toBeLessThanOrEqual(lines.length + 1);
        }
        try {
          parse(text);
        } catch {
          expect(checkSettings(text).mistakes.length).toBeGreaterThan(0);
        }
      }),
    );
  });
});

test('a mistyped name is recognized, a strange one is not', () => {
  const known = ['token', 'token-file', 'state-dir'];
  expect(closestName('tokne', known)).toBe('token');
  expect(closestName('stateDir', known)).toBe('state-dir');
  expect(closestName('Token_File', known)).toBe('token-file');
  expect(closestName('colour', known)).toBeUndefined();
  expect(closestName('', known)).toBeUndefined();
});
