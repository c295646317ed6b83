/**
 * Who this host is in the mesh, in the state directory: its WireGuard private key in a file of its
 * own, written before anything is asked of the edge, so that an enrolment that was cut off is
 * repeated with the same key and gives the same replica; and what the edge answered.
 */
import { z } from 'zod';
import { secretSchema } from '../../control/api.ts';
import {
  breakoutWishSchema,
  cidrSchema,
  connectorIdSchema,
  hashSchema,
  MAX_ROUTES_PER_CONNECTOR,
  MAX_URLS,
  nameSchema,
  relayIdSchema,
  replicaIdSchema,
  urlSchema,
} from '../../control/model.ts';
import { CausewayError } from '../../errors.ts';
import { clamp, keyFromBase64, keyToBase64, type PrivateKey, privateKey } from '../../keys.ts';
import type { StateDirectory } from './state-directory.ts';

export const IDENTITY_FILE = 'identity.json';
export const KEY_FILE = 'private-key';

const identitySchema = z.object({
  format: z.literal(1),
  replica: replicaIdSchema,
  connector: connectorIdSchema,
  name: nameSchema,
  relayId: relayIdSchema,
  /** Speaks for this replica at the edge's API. */
  credential: secretSchema,
  edge: z.object({
    urls: z.array(urlSchema).min(1).max(MAX_URLS),
    tlsPin: hashSchema.nullable(),
    /** Of the next certificate, once it is announced. */
    nextTlsPin: hashSchema.nullable().optional(),
  }),
  /** What `--advertise` named last. */
  advertise: z.array(cidrSchema).max(MAX_ROUTES_PER_CONNECTOR),
  allowDefault: z.boolean(),
  /** What `--breakout` named last, for the edge to show; absent = nothing. */
  breakout: breakoutWishSchema.optional(),
  /** The edge has not heard of it yet. */
  advertisePending: z.boolean(),
  /** Set when the edge said that the replica is no more: the sentence why. */
  gone: z.string().max(2_000).optional(),
});

/** A replica's identity but for its private key. */
export type Identity = z.infer<typeof identitySchema>;

/**
 * The identity; undefined if this host was never enrolled.
 *
 * @throws CausewayError IDENTITY_DAMAGED, PERMISSION, FILE_ACCESS
 */
export async function loadIdentity(
  state: Pick<StateDirectory, 'path' | 'read'>,
): Promise<Identity | undefined> {
  const text = await state.read(IDENTITY_FILE);
  if (text === undefined) return undefined;
  const parsed = identitySchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw damaged(state, IDENTITY_FILE, parsed.error);
}

export async function saveIdentity(state: StateDirectory, identity: Identity): Promise<void> {
  await state.write(IDENTITY_FILE, `${JSON.stringify(identity, null, 2)}\n`);
}

/**
 * The private key; undefined if there is none yet.
 *
 * @throws CausewayError as `loadIdentity`
 */
export async function loadPrivateKey(state: StateDirectory): Promise<PrivateKey | undefined> {
  const text = await state.read(KEY_FILE);
  if (text === undefined) return undefined;
  const bytes = keyFromBase64(text.trim());
  if (bytes === undefined) throw damaged(state, KEY_FILE);
  return privateKey(bytes);
}

/** Makes a key from 32 random bytes (taken) and writes it down. */
export async function createPrivateKey(
  state: StateDirectory,
  random: Uint8Array,
): Promise<PrivateKey> {
  clamp(random);
  await state.write(KEY_FILE, `${keyToBase64(random)}\n`);
  return privateKey(random);
}

/** Forgets who this host was; the netmap is another file. */
export async function removeIdentity(state: StateDirectory): Promise<void> {
  await state.remove(IDENTITY_FILE);
  await state.remove(KEY_FILE);
}

function damaged(
  state: Pick<StateDirectory, 'path'>,
  file: string,
  cause?: unknown,
): CausewayError {
  const message = `${state.path}/${file} is damaged: restore it, or \`connector down --forget\` and join again with a new token.`;
  return new CausewayError('IDENTITY_DAMAGED', message, { cause });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
