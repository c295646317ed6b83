/** A flow with all that is known about it, which the steps are made of; and how a step is made. Pure. */
import type { Flow } from '../../control/policy/evaluate.ts';
import type { Remedy, Step } from './explanation.ts';
import type { KernelFacts, Lookup, Lookups, SideFacts } from './side-facts.ts';

export interface Side {
  /** Name of the connector. */
  readonly name: string;
  /** Address of its own site, and the one at the other end. */
  readonly near: string;
  readonly far: string;
  readonly facts: SideFacts;
}

/** How the other gateway is reached. */
export interface Session {
  readonly kind: 'direct' | 'relayed' | 'none';
  /** `relayed via edge-1 (192.0.2.1:51820)`. */
  readonly path: string;
  /** ms; null = not measured. */
  readonly rtt: number | null;
  /** Bytes of the largest packet that it carries; null = not found out yet. */
  readonly mtu: number | null;
  /** Of the mesh's interface. */
  readonly interfaceMtu: number;
  /** Seconds ago; null = never. */
  readonly handshake: number | null;
  /** This gateway does not hear from the edge that relays, or not from its API. */
  readonly edgeSilent: boolean;
}

/** Why there are no facts of the other side. */
export type Silence =
  /**
   * Nothing came back. `denied`: the policy allows nothing at all between the two. `closed`: of a gateway
   * that answers no questions, it denies the port. `alive`: meanwhile its daemon sent something else.
   */
  | {
      readonly kind: 'timeout';
      readonly denied: boolean;
      readonly closed: boolean;
      readonly alive: boolean;
    }
  /** It knows the flow's addresses differently: the asker's, or its own. */
  | { readonly kind: 'not-yours' | 'not-ours'; readonly revision: number }
  /** Its host answers, and nobody listens there; it is asked too often; it said something else. */
  | { readonly kind: 'refused' | 'busy' | 'strange' };

export interface FlowCase {
  readonly source: string;
  readonly destination: string;
  readonly flow: Flow;
  /** `tcp 22`, `icmp echo-request`. */
  readonly service: string;
  /** Whether the question said so. */
  readonly serviceGiven: boolean;
  /** This gateway's side. */
  readonly here: Side;
  readonly hereIs: 'origin' | 'target';
  /** Undefined: the far address is nobody's. */
  readonly other: { readonly name: string; readonly told: Side | Silence } | undefined;
  readonly session: Session;
  /** A rule of the policy in words. */
  readonly ruleText: (number: number) => string | undefined;
}

type Found = Pick<Step, 'step' | 'at' | 'text'>;

export function okStep(step: string, at: string, text: string): Step {
  return { step, at, state: 'ok', text, remedy: null };
}

export function uncheckedStep(step: string, at: string, text: string): Step {
  return { step, at, state: 'unchecked', text, remedy: null };
}

/** @param commands for a root shell where the remedy is to be done */
export function failedStep(found: Found, remedy: string, at: string, ...commands: string[]): Step {
  return { ...found, state: 'failed', remedy: remedyOf(remedy, at, commands) };
}

function remedyOf(text: string, at: string, commands: readonly string[]): Remedy {
  return { text, at, commands: [...commands] };
}

/**
 * What the kernel does with a packet once what stops all packets (forwarding off, rp_filter) is put right,
 * which is a step of its own.
 */
export function taken({ forwarded, own }: Lookups, kernel: KernelFacts): Lookup {
  if (own.result !== 'sent' || kernel.own) return forwarded;
  return forwarded.result === 'unreachable' || forwarded.result === 'rejected' ? own : forwarded;
}

/** A kernel setting of an interface, for sysctl(8). */
export function settingOf(device: string, name: string): string {
  return device.includes('.')
    ? `net/ipv4/conf/${device}/${name}`
    : `net.ipv4.conf.${device}.${name}`;
}

/** `10.2.0.0/24 via 10.1.0.9 dev wan0`: what `ip route del` takes. */
export function routeText({ prefix, gateway, device }: Lookup): string {
  const via = gateway === null ? '' : ` via ${gateway}`;
  return `${prefix ?? 'default'}${via} dev ${device}`;
}
