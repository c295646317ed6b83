/** Which gateway the checks of the host are for: all that they need to know of it. Pure. */
import type { Address } from '../../routing/address.ts';
import type { Prefix } from '../../routing/prefix.ts';

export interface GatewayScope {
  readonly interfaceName: string;
  /** It is there, and a daemon of ours carries its packets. */
  readonly running: boolean;
  /** Prefixes of this site that the edge has approved, but for those of a default route. */
  readonly served: readonly Prefix[];
  /** Prefixes of other connectors, and the ranges of the mesh IPs. */
  readonly remote: readonly Prefix[];
  /** `ADDRESS:PORT` of the edges' relays. */
  readonly relays: readonly EdgeAddress[];
  /** The same of their APIs. */
  readonly apis: readonly EdgeAddress[];
  /** Our mesh IPs; none = they are not known yet. */
  readonly mesh: readonly Address[];
  /** Whether questions of other gateways are answered there. */
  readonly answers: boolean;
  /** Of the interface, now or when it starts. */
  readonly mtu: number;
}

export interface EdgeAddress {
  /** Of the edge. */
  readonly name: string;
  readonly endpoint: string;
}
