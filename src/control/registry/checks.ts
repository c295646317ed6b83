/** What rules check alike: that an object exists, that a name is free, that a value has its form. */
import type { z } from 'zod';
import { CausewayError } from '../../errors.ts';
import { schemaFault } from '../decoded.ts';
import type { Connector, Vnet } from '../model.ts';
import type { RegistryView } from './view.ts';

/** @throws CausewayError VALUE_INVALID */
export function checked<S extends z.ZodType>(schema: S, what: string, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CausewayError(
    'VALUE_INVALID',
    `The ${what} is not valid: ${schemaFault(parsed.error)}.`,
  );
}

/** @throws CausewayError LIMIT_REACHED */
export function checkRoom(count: number, max: number, what: string): void {
  if (count < max) return;
  throw new CausewayError(
    'LIMIT_REACHED',
    `There are ${max} ${what} already, the most there may be.`,
  );
}

/** @throws CausewayError NAME_TAKEN */
export function checkFree(
  holder: { readonly id: string } | undefined,
  what: string,
  name: string,
): void {
  if (holder === undefined) return;
  throw new CausewayError('NAME_TAKEN', `There is a ${what} called "${name}" already.`);
}

/** @throws CausewayError NOT_FOUND */
export function existing<T>(object: T | undefined, what: string, reference: string): T {
  if (object !== undefined) return object;
  throw new CausewayError('NOT_FOUND', `There is no ${what} "${reference}".`);
}

/** By id or by name. @throws CausewayError NOT_FOUND */
export function existingConnector(view: RegistryView, reference: string): Connector {
  return existing(view.findConnector(reference), 'connector', reference);
}

/** By id or by name, the default one for undefined. @throws CausewayError NOT_FOUND */
export function existingVnet(view: RegistryView, reference: string | undefined): Vnet {
  return existing(
    view.findVnet(reference ?? view.head.defaultVnet),
    'virtual network',
    reference ?? 'default',
  );
}
