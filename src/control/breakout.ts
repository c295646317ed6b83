/**
 * Breakout: the Internet traffic of a site's hosts leaves by another connector. Three must want it: that
 * connector offers a default route, the edge's operator consents to it, as to any route, by approving
 * it, and the site's own gateway names the connector. A default route alone sends nobody anywhere.
 *
 * For each family by itself the first of the named connectors takes the traffic that has a default route
 * of that family approved and a replica to carry it. Where none has, the traffic is refused, or goes the
 * gateway's own way if that was said. Priorities play no part. Pure.
 */
/** Connectors that a gateway may name. */
export const MAX_BREAKOUTS = 8;

export const BREAKOUT_FAMILIES = [4, 6] as const;
export type BreakoutFamily = (typeof BREAKOUT_FAMILIES)[number];

export const DEFAULT_ROUTES: Readonly<Record<BreakoutFamily, string>> = {
  4: '0.0.0.0/0',
  6: '::/0',
};

/** What becomes of Internet traffic while no named connector takes it. */
export const BREAKOUT_FALLBACKS = ['refuse', 'own'] as const;
export type BreakoutFallback = (typeof BREAKOUT_FALLBACKS)[number];

/** What a gateway wants; the edge is told, to show it. */
export interface BreakoutWish {
  /** Names or ids, the most wanted first; empty = Internet traffic goes the gateway's own way. */
  readonly connectors: readonly string[];
  readonly families: readonly BreakoutFamily[];
  readonly fallback: BreakoutFallback;
}

export const NO_BREAKOUT: BreakoutWish = { connectors: [], families: [4, 6], fallback: 'refuse' };

/** A connector that could take it. */
export interface BreakoutOffer {
  readonly id: string;
  readonly name: string;
  /** Approved default routes that a replica carries now. */
  readonly families: readonly BreakoutFamily[];
}

/** `own`: by the gateway's own Internet access. */
export type BreakoutWay<Offer extends BreakoutOffer = BreakoutOffer> =
  | { readonly kind: 'own' | 'refused' }
  /** `orElse`: of packets that the tunnel cannot take after all, its interface being down. */
  | { readonly kind: 'through'; readonly by: Offer; readonly orElse: BreakoutFallback };

/** @param offers of the other connectors of the virtual network */
export function chooseBreakout<Offer extends BreakoutOffer>(
  { connectors, families, fallback }: BreakoutWish,
  offers: readonly Offer[],
): Record<BreakoutFamily, BreakoutWay<Offer>> {
  const wayOf = (family: BreakoutFamily): BreakoutWay<Offer> => {
    if (connectors.length === 0 || !families.includes(family)) return { kind: 'own' };
    for (const wanted of connectors) {
      const by = offers.find(({ id, name }) => id === wanted || name === wanted);
      if (by?.families.includes(family)) {
        return { kind: 'through', by, orElse: fallback };
      }
    }
    return { kind: fallback === 'own' ? 'own' : 'refused' };
  };
  return { 4: wayOf(4), 6: wayOf(6) };
}

/** Families of the default routes among prefixes. */
export function defaultFamilies(prefixes: Iterable<string>): BreakoutFamily[] {
  const found = new Set(prefixes);
  return BREAKOUT_FAMILIES.filter((family) => found.has(DEFAULT_ROUTES[family]));
}

export function isDefaultRoute(prefix: string): boolean {
  return prefix === DEFAULT_ROUTES[4] || prefix === DEFAULT_ROUTES[6];
}
