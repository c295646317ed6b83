/**
 * What the operator has said about an edge: `edge.json` in the data directory. `edge init` and `edge
 * run` take the same options; what is given is kept, and what was given before stays.
 */
import { z } from 'zod';
import {
  endpointSchema,
  MAX_ENDPOINTS,
  MAX_URLS,
  nameSchema,
  urlSchema,
} from '../control/model.ts';
import { readPrivateFile, writePrivateFile } from '../control/node/private-file.ts';
import { CausewayError } from '../errors.ts';

export const DEFAULT_LISTEN = '[::]:8443';
export const DEFAULT_RELAY_PORT = 51_820;
export const DEFAULT_NAME = 'edge';

const portSchema = z.int().min(0).max(65_535);

const hostSchema = z
  .string()
  .refine(
    (host) => endpointSchema.safeParse(host.includes(':') ? `[${host}]:1` : `${host}:1`).success,
    'not a host name or address',
  );

export const settingsSchema = z.strictObject({
  version: z.literal(1),
  name: nameSchema,
  /** Where the API listens; port 0 = any, for tests. */
  listen: z.strictObject({ host: z.string().min(1).max(253), port: portSchema }),
  /** UDP port of the relay, on all addresses of both families; 0 = any. */
  relayPort: portSchema,
  /** Host names or addresses by which gateways reach this edge; empty = the machine's addresses. */
  public: z.array(hostSchema).max(MAX_URLS),
  /** Instead of `public` with the relay's port, where ports are forwarded. */
  endpoints: z.array(endpointSchema).max(MAX_ENDPOINTS),
  /** Instead of `public` with the API's port. */
  urls: z.array(urlSchema).max(MAX_URLS),
  /** The operator's certificate; null = our own. */
  certificate: z.strictObject({ certificate: z.string(), key: z.string() }).nullable(),
  meshIpv4: z.string().nullable(),
});
export type Settings = z.infer<typeof settingsSchema>;
export type SettingsChange = {
  [K in keyof Omit<Settings, 'version'>]?: Settings[K] | undefined;
};

/**
 * The settings as the change makes them; nothing is written.
 *
 * @throws CausewayError CONFIG_VALUE, FILE_ACCESS
 */
export async function readSettings(path: string, change: SettingsChange): Promise<Settings> {
  const text = await readPrivateFile(path);
  const before = text === undefined ? undefined : parse(path, text);
  const defaults = {
    version: 1,
    name: DEFAULT_NAME,
    listen: parseListen(DEFAULT_LISTEN),
    relayPort: DEFAULT_RELAY_PORT,
    public: [],
    endpoints: [],
    urls: [],
    certificate: null,
    meshIpv4: null,
  };
  const given = Object.fromEntries(
    Object.entries(change).filter(([, value]) => value !== undefined),
  );
  return validate({ ...defaults, ...before, ...given });
}

/**
 * Writes the settings, unless that is what the file says.
 *
 * @throws CausewayError FILE_ACCESS
 */
export async function writeSettings(path: string, settings: Settings): Promise<void> {
  const text = `${JSON.stringify(settings, null, 2)}\n`;
  if (text !== (await readPrivateFile(path))) await writePrivateFile(path, text);
}

function parse(path: string, text: string): Settings {
  try {
    return settingsSchema.parse(JSON.parse(text));
  } catch (error) {
    const message = `${path} is not what \`connector edge init\` writes: correct it, or remove it and run that again.`;
    throw new CausewayError('CONFIG_VALUE', message, { cause: error });
  }
}

/** What a setting is called on the command line, where its value came from. */
const OPTIONS: Readonly<Record<string, string>> = {
  name: '--name',
  listen: '--listen',
  relayPort: '--relay-port',
  public: '--public',
  endpoints: '--endpoint',
  urls: '--url',
  certificate: '--certificate',
  meshIpv4: '--mesh-range',
};

function validate(value: unknown): Settings {
  const parsed = settingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const [setting = '', ...rest] = path.map(String);
  const wrong = path.reduce<unknown>(
    (part, key) => (part as Record<PropertyKey, unknown>)[key],
    value,
  );
  const name = OPTIONS[setting] ?? [setting, ...rest].join('.');
  throw new CausewayError('CONFIG_VALUE', `${name} ${JSON.stringify(wrong)}: ${message}.`);
}

/**
 * `HOST:PORT`, `[ADDRESS]:PORT`, `:PORT` or `PORT`; without a host, all addresses of both families.
 *
 * @throws CausewayError CONFIG_VALUE
 */
export function parseListen(text: string): Settings['listen'] {
  const match = /^(?:(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]]*)):)?([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new CausewayError('CONFIG_VALUE', `"${text}" is no HOST:PORT to listen on.`);
  }
  return { host: match[1] || match[2] || '::', port };
}
