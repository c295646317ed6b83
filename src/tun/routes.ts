/** A tunnel's routes in a table that its operator chose (`Table = N`): no rules, no exceptions. */
import { formatPrefix, type Prefix } from '../routing/prefix.ts';
import { ipBatch } from './command.ts';
import { ROUTE_PROTOCOL } from './route-numbers.ts';

/** @throws CausewayError PERMISSION, COMMAND_FAILED, COMMAND_MISSING */
export async function installPlainRoutes(
  interfaceName: string,
  table: string,
  prefixes: readonly Prefix[],
): Promise<void> {
  for (const family of [4, 6] as const) {
    const lines = prefixes
      .filter((prefix) => prefix.family === family)
      .map((prefix) => {
        const to = formatPrefix(prefix);
        return `route replace ${to} dev ${interfaceName} table ${table} proto ${ROUTE_PROTOCOL}`;
      });
    await ipBatch(family, lines);
  }
}
