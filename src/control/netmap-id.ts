/**
 * Names of netmaps, `EPOCH.REVISION`: the ids of a stream's events, by which a replica says what it has.
 *
 * A revision alone does not name a state of the registry. When a backup is restored, changes get the
 * same revisions again, and a delta to one history would be applied to the netmap of another. So each
 * process that opens the store begins an epoch with its first change, and the registry keeps which
 * epoch began after which revision: a copy ends where it was made, and what comes after is of another
 * epoch. A revision that the registry does not have under its epoch gets a whole netmap.
 */
import { type Epoch, epochIdSchema, MAX_EPOCHS } from './model.ts';

/** Longest name. */
export const MAX_NETMAP_ID_LENGTH = 64;

export function netmapId(epoch: string, revision: number): string {
  return `${epoch}.${revision}`;
}

/** The epochs after a change by `session` of a registry at `revision`. */
export function epochsAfter(epochs: readonly Epoch[], session: string, revision: number): Epoch[] {
  if (epochs.some(({ id }) => id === session)) return [...epochs];
  return [...epochs, { id: session, after: revision }].slice(-MAX_EPOCHS);
}

/** The epoch that is in force; before the first one, a name that is none. */
export function currentEpoch(epochs: readonly Epoch[]): string {
  return epochs.at(-1)?.id ?? '';
}

/**
 * The revision of a netmap by its name; undefined if the registry never had it.
 *
 * @param revision the registry's
 */
export function knownRevision(
  text: string | undefined,
  epochs: readonly Epoch[],
  revision: number,
): number | undefined {
  const [, epoch, number] = /^([^.]*)\.([0-9]{1,15})$/.exec(text ?? '') ?? [];
  if (!epochIdSchema.safeParse(epoch).success) return undefined;
  const at = epochs.findIndex(({ id }) => id === epoch);
  if (at < 0) return undefined;
  const known = Number(number);
  const last = epochs[at + 1]?.after ?? revision;
  return known > epochs[at]!.after && known <= last ? known : undefined;
}
