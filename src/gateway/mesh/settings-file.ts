/**
 * A gateway's configuration file, connector.toml: one key for each option of `connector up`, under
 * the option's name. Every mistake is found at once, with its line and what to do about it.
 */
import { open } from 'node:fs/promises';
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { BREAKOUT_FALLBACKS } from '../../control/breakout.ts';
import { decodeJoinToken } from '../../control/join-token.ts';
import { CausewayError, type ErrorCode } from '../../errors.ts';
import { interfaceNameFault } from '../../tun/interface-name.ts';
import { LOG_LEVEL_NAMES } from '../log.ts';
import { LISTEN_ADDRESS_FORM, parseListenAddress } from '../metrics/listen-address.ts';
import { checkPrefix } from './advertised-prefixes.ts';
import { breakoutWish, FAMILY_CHOICES } from './breakout-setting.ts';
import { closestName } from './closest-name.ts';
import {
  CRYPTOGRAPHY,
  DEFAULT_SETTINGS,
  FLOW_LOG_FILES_RANGE,
  FLOW_LOG_FORM,
  FLOW_LOG_SIZE_RANGE,
  type GatewaySettings,
  type GivenSettings,
  isFlowLog,
  MTU_RANGE,
  PORT_RANGE,
} from './settings.ts';
import { keyLines, parses } from './toml-statements.ts';

const MAX_SIZE = 256 * 1024;
const MAX_ADVERTISED = 1_024;
/** Of these, so many are shown at once. */
const MAX_SYNTAX_MISTAKES = 20;

export interface Mistake {
  /** From 1. */
  readonly line: number;
  readonly code: ErrorCode;
  /** A sentence that says what to do. */
  readonly message: string;
}

/** Messages say what is to be written in the place of a value that is wrong. */
const pathAs = (example: string) =>
  z.string('a path in quotes').startsWith('/', `an absolute path, as ${JSON.stringify(example)}`);
const numberIn = ({ least, most }: { readonly least: number; readonly most: number }) => {
  const wanted = `a whole number from ${least} to ${most}, without quotes`;
  return z.int(wanted).min(least, wanted).max(most, wanted);
};
const mtuForm = `"auto", or a whole number from ${MTU_RANGE.least} to ${MTU_RANGE.most} without quotes`;
const choice = <T extends string>(names: readonly T[]) =>
  z.enum(names, `one of ${names.map((name) => `"${name}"`).join(', ')}`);
const truth = z.boolean('true or false, without quotes');
const hostname = 'a name in quotes, of 1 to 253 characters without spaces';

const schema = z.strictObject({
  token: z.string('the join token in quotes').optional(),
  'token-file': pathAs('/etc/causeway/token').optional(),
  advertise: z
    .array(z.string('a list of prefixes in quotes'), 'a list of prefixes, as ["10.1.0.0/16"]')
    .max(MAX_ADVERTISED, `a list of at most ${MAX_ADVERTISED} prefixes`)
    .optional(),
  'allow-default': truth.optional(),
  breakout: z
    .array(z.string('a list of names in quotes'), 'a list of connectors, as ["hq"]')
    .optional(),
  'breakout-family': choice(FAMILY_CHOICES).optional(),
  'breakout-fallback': choice(BREAKOUT_FALLBACKS).optional(),
  name: z
    .string(hostname)
    .regex(/^[\x21-\x7e]{1,253}$/, hostname)
    .optional(),
  interface: z.string('a name in quotes, as "causeway0"').optional(),
  'state-dir': pathAs(DEFAULT_SETTINGS.stateDir).optional(),
  mtu: z.union([z.literal('auto'), numberIn(MTU_RANGE)], mtuForm).optional(),
  port: numberIn(PORT_RANGE).optional(),
  forwarding: truth.optional(),
  diagnosis: truth.optional(),
  crypto: choice(CRYPTOGRAPHY).optional(),
  metrics: z.string(`${LISTEN_ADDRESS_FORM}, in quotes`).optional(),
  'flow-log': z.string(`${FLOW_LOG_FORM}, in quotes`).refine(isFlowLog, FLOW_LOG_FORM).optional(),
  'flow-log-size': numberIn(FLOW_LOG_SIZE_RANGE).optional(),
  'flow-log-files': numberIn(FLOW_LOG_FILES_RANGE).optional(),
  'one-way-detector': truth.optional(),
  'log-level': choice(LOG_LEVEL_NAMES).optional(),
});
type File = z.infer<typeof schema>;

/** The keys that a file may have. */
export const SETTING_KEYS = Object.keys(schema.shape);

/**
 * @throws CausewayError FILE_ACCESS; CONFIG_SYNTAX or CONFIG_VALUE for the first mistake, which says
 *   how many more there are
 */
export async function readSettingsFile(file: string): Promise<GivenSettings> {
  const { text, readableByOthers } = await readText(file);
  const checked = checkSettings(text, readableByOthers);
  const [first, ...more] = checked.mistakes;
  if (first === undefined) return checked.settings;
  const others =
    more.length === 0
      ? ''
      : ` There are ${more.length} more: \`connector config check\` shows all.`;
  throw new CausewayError(first.code, `${file}:${first.line}: ${first.message}${others}`);
}

/** @throws CausewayError FILE_ACCESS */
export async function checkSettingsFile(file: string): Promise<readonly Mistake[]> {
  const { text, readableByOthers } = await readText(file);
  return checkSettings(text, readableByOthers).mistakes;
}

/** What a file's text says, and what is wrong with it, in the order of its lines. */
export function checkSettings(
  text: string,
  readableByOthers = false,
): { readonly settings: GivenSettings; readonly mistakes: readonly Mistake[] } {
  const { table, rest, mistakes: syntax } = parseLines(text);
  const lines = keyLines(rest);
  const mistakes = [...syntax];
  const note = (key: string, message: string, code: ErrorCode = 'CONFIG_VALUE'): void => {
    mistakes.push({ line: lines.get(key) ?? 1, code, message });
  };
  const parsed = schema.safeParse(table);
  const wrong = new Set<string>();
  for (const issue of parsed.error?.issues ?? []) {
    const isUnknown = issue.code === 'unrecognized_keys';
    for (const key of isUnknown ? issue.keys : [String(issue.path[0])]) {
      wrong.add(key);
      if (isUnknown) note(key, unknownKey(key), 'CONFIG_SYNTAX');
      else note(key, `${key} is to be ${issue.message}.`);
    }
  }
  const entries = Object.entries(table).filter(([key]) => !wrong.has(key));
  const settings = schema.parse(Object.fromEntries(entries));
  checkValues(settings, readableByOthers, note);
  return {
    settings: withoutUndefined({
      token: settings.token,
      tokenFile: settings['token-file'],
      advertise: settings.advertise,
      allowDefault: settings['allow-default'],
      breakout: settings.breakout,
      breakoutFamily: settings['breakout-family'],
      breakoutFallback: settings['breakout-fallback'],
      name: settings.name,
      interface: settings.interface,
      stateDir: settings['state-dir'],
      mtu: settings.mtu,
      port: settings.port,
      forwarding: settings.forwarding,
      diagnosis: settings.diagnosis,
      crypto: settings.crypto,
      metrics: settings.metrics,
      flowLog: settings['flow-log'],
      flowLogSize: settings['flow-log-size'],
      flowLogFiles: settings['flow-log-files'],
      oneWayDetector: settings['one-way-detector'],
      logLevel: settings['log-level'],
    }),
    mistakes: mistakes.toSorted((a, b) => a.line - b.line),
  };
}

type Note = (key: keyof File, message: string, code?: ErrorCode) => void;

/** What types alone do not say. A token is never repeated in a message. */
function checkValues(settings: File, readableByOthers: boolean, note: Note): void {
  const { token, advertise } = settings;
  if (token !== undefined) {
    const decoded = decodeJoinToken(token);
    if (!decoded.ok) note('token', decoded.message, decoded.code);
    if (settings['token-file'] !== undefined) {
      note('token-file', 'There is a token as well: keep one of the two, better token-file.');
    }
    if (readableByOthers) {
      const remedy =
        'Put it in a file of its own and name that as token-file, or `chmod 600` this.';
      note('token', `Others than the owner can read this file and the token in it. ${remedy}`);
    }
  }
  const fault = interfaceNameFault(settings.interface ?? 'causeway0');
  if (fault !== undefined) {
    note('interface', `interface is to be 1 to 15 letters, digits, "-" or "_": ${fault}.`);
  }
  if (settings.metrics !== undefined && parseListenAddress(settings.metrics) === undefined) {
    note('metrics', `metrics is to be ${LISTEN_ADDRESS_FORM}, in quotes.`);
  }
  try {
    breakoutWish({
      ...DEFAULT_SETTINGS,
      ...(settings.breakout && { breakout: settings.breakout }),
    });
  } catch (error) {
    const { code, message } = error as CausewayError;
    note('breakout', message.replace('--breakout', 'breakout'), code);
  }
  for (const text of advertise ?? []) {
    try {
      checkPrefix(text, settings['allow-default'] === true);
    } catch (error) {
      const { code, message } = error as CausewayError;
      note('advertise', message.replace('--allow-default', 'allow-default = true'), code);
    }
  }
}

function unknownKey(key: string): string {
  const near = closestName(key, SETTING_KEYS);
  const remedy =
    near === undefined ? `known are ${SETTING_KEYS.join(', ')}` : `did you mean ${near}?`;
  return `There is no key ${JSON.stringify(key.slice(0, 40))}: ${remedy}${near ? '' : '.'}`;
}

/** The file without the lines that are no TOML, and those lines. */
function parseLines(text: string): {
  readonly table: Readonly<Record<string, unknown>>;
  readonly rest: string;
  readonly mistakes: readonly Mistake[];
} {
  const lines = text.split('\n');
  const mistakes: Mistake[] = [];
  for (;;) {
    try {
      return { table: parse(lines.join('\n')), rest: lines.join('\n'), mistakes };
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const { line } = error;
      const reason = error.message.split('\n')[0]!.replace(/^Invalid TOML document: /, '');
      const message = `This is no TOML: ${reason}. Write it as key = value, text in quotes.`;
      mistakes.push({ line, code: 'CONFIG_SYNTAX', message });
      // What follows a line that is a whole statement can still be looked at.
      const isOneLine = /^\s*[\w-]+\s*=\s*[^[{]*$|^[^=[]*$/.test(lines[line - 1] ?? '');
      const isWhole = isOneLine && parses(lines.slice(0, line - 1).join('\n')) !== undefined;
      if (!isWhole || mistakes.length >= MAX_SYNTAX_MISTAKES)
        return { table: {}, rest: '', mistakes };
      lines[line - 1] = '';
    }
  }
}

async function readText(
  path: string,
): Promise<{ readonly text: string; readonly readableByOthers: boolean }> {
  try {
    const file = await open(path, 'r');
    try {
      const { size, mode } = await file.stat();
      if (size > MAX_SIZE) throw new Error(`it is larger than ${MAX_SIZE} bytes`);
      return { text: await file.readFile('utf8'), readableByOthers: (mode & 0o007) !== 0 };
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file',
      EACCES:
        'only others may. A service needs it readable by all, with the token in /etc/causeway/token',
    };
    const reason = reasons[code ?? ''] ?? message;
    const text = `The configuration file ${path} cannot be read: ${reason}.`;
    throw new CausewayError('FILE_ACCESS', text, { cause: error });
  }
}

type Found = { readonly [K in keyof GatewaySettings]: GatewaySettings[K] | undefined };

function withoutUndefined(settings: Found): GivenSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
