/**
 * A change of the registry in the making: a rule collects in it what it writes, and the plan that
 * comes out is committed as a whole or not at all.
 *
 * Every plan rewrites the head and expects it at the revision that the rule saw. So all changes, of
 * however many processes, are one sequence, and a rule needs to look at nothing but its view.
 */
import { CausewayError } from '../../errors.ts';
import { maxMeshIndex } from '../mesh.ts';
import { type Head, MAX_RELAY_ID } from '../model.ts';
import { epochsAfter } from '../netmap-id.ts';
import type { StoreWrite } from '../store.ts';
import { HEAD_KEY, keyOf, type ObjectKind, type ObjectOf, type RegistryObject } from './objects.ts';
import type { RegistryView } from './view.ts';

/** What a rule decided. Without writes there is nothing to do. */
export interface Plan<T> {
  readonly writes: readonly StoreWrite[];
  readonly result: T;
}

export class Draft {
  readonly view: RegistryView;
  readonly #writes = new Map<string, StoreWrite>();
  #head: Head;
  readonly #taken = new Set<number>();

  /** @param head only for the registry's first change */
  constructor(view: RegistryView, head: Head = view.head) {
    this.view = view;
    this.#head = head;
  }

  put<K extends ObjectKind>(kind: K, object: ObjectOf<K>): void {
    const key = keyOf({ kind, object } as unknown as RegistryObject);
    this.#writes.set(key, { key, value: JSON.stringify(object) });
  }

  delete<K extends ObjectKind>(kind: K, object: ObjectOf<K>): void {
    const key = keyOf({ kind, object } as unknown as RegistryObject);
    this.#writes.set(key, { key, value: undefined });
  }

  changeHead(change: Partial<Head>): void {
    this.#head = { ...this.#head, ...change };
    this.#writes.set(HEAD_KEY, { key: HEAD_KEY, value: undefined });
  }

  /** @throws CausewayError MESH_FULL */
  takeMeshIndex(): number {
    const max = maxMeshIndex(this.#head);
    const index = nextFree(
      this.#head.nextMeshIndex,
      max,
      (at) => this.view.byMeshIndex(at) !== undefined,
    );
    if (index === undefined) {
      throw new CausewayError(
        'MESH_FULL',
        `All ${max} mesh IPs of ${this.#head.meshIpv4} are taken.`,
      );
    }
    this.changeHead({ nextMeshIndex: index === max ? 1 : index + 1 });
    return index;
  }

  /** @throws CausewayError MESH_FULL */
  takeRelayId(): number {
    const relayId = nextFree(
      this.#head.nextRelayId,
      MAX_RELAY_ID,
      (at) => this.view.byRelayId(at) !== undefined || this.#taken.has(at),
    );
    if (relayId === undefined) throw new CausewayError('MESH_FULL', 'All relay ids are taken.');
    this.#taken.add(relayId);
    this.changeHead({ nextRelayId: relayId === MAX_RELAY_ID ? 1 : relayId + 1 });
    return relayId;
  }

  plan<T>(result: T): Plan<T> {
    if (this.#writes.size === 0) return { writes: [], result };
    const { session, revision } = this.view;
    const epochs = epochsAfter(this.#head.epochs, session, revision);
    this.#writes.set(HEAD_KEY, {
      key: HEAD_KEY,
      value: JSON.stringify({ ...this.#head, epochs }),
      expected: this.view.headRevision,
    });
    return { writes: [...this.#writes.values()], result };
  }
}

/** The first number from `start` on, then from 1 on, that is not taken. */
function nextFree(
  start: number,
  max: number,
  isTaken: (at: number) => boolean,
): number | undefined {
  const first = start <= max ? start : 1;
  for (let at = first; at <= max; at++) if (!isTaken(at)) return at;
  for (let at = 1; at < first; at++) if (!isTaken(at)) return at;
  return undefined;
}

/** What rules get from outside. A rule may run more than once: its result must depend on nothing else. */
export interface RuleContext {
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** A random UUID in lower case. */
  readonly newId: () => string;
}
