/** `breakout`, `breakout-family` and `breakout-fallback` of a gateway's settings as one wish. */
import {
  BREAKOUT_FAMILIES,
  type BreakoutFallback,
  type BreakoutWish,
  MAX_BREAKOUTS,
} from '../../control/breakout.ts';
import { CausewayError } from '../../errors.ts';

export const FAMILY_CHOICES = ['both', '4', '6'] as const;
export type FamilyChoice = (typeof FAMILY_CHOICES)[number];

export interface BreakoutSetting {
  readonly breakout: readonly string[];
  readonly breakoutFamily: FamilyChoice;
  readonly breakoutFallback: BreakoutFallback;
}

/** As connectors are called, or their ids, which look like names. */
const CONNECTOR = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws CausewayError VALUE_INVALID */
export function breakoutWish(setting: BreakoutSetting): BreakoutWish {
  const { breakout, breakoutFamily: family, breakoutFallback: fallback } = setting;
  const strange = breakout.find((name) => !CONNECTOR.test(name));
  if (strange !== undefined) {
    const text = `"${strange.slice(0, 70)}" cannot be a connector: --breakout takes the name, or the id, of the one by which Internet traffic is to leave.`;
    throw new CausewayError('VALUE_INVALID', text);
  }
  if (breakout.length > MAX_BREAKOUTS) {
    const text = `--breakout names ${breakout.length} connectors: ${MAX_BREAKOUTS} is the most.`;
    throw new CausewayError('VALUE_INVALID', text);
  }
  return {
    connectors: [...new Set(breakout)],
    families: BREAKOUT_FAMILIES.filter((one) => family === 'both' || family === String(one)),
    fallback,
  };
}
