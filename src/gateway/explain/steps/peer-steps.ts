/** How the other gateway is reached, what it answered, and whether it takes the flow's source from there. Pure. */
import { DIAGNOSIS_PORT } from '../../diagnosis/port.ts';
import type { Step } from '../explanation.ts';
import {
  type FlowCase,
  failedStep,
  okStep,
  type Session,
  type Side,
  type Silence,
  uncheckedStep,
} from '../flow-case.ts';
import type { SideFacts } from '../side-facts.ts';

/** REJECT_AFTER_TIME (WireGuard whitepaper § 6.2) in seconds. */
const SESSION_LASTS = 180;

type Other = NonNullable<FlowCase['other']>;

export function pathStep(at: string, { name, told }: Other, session: Session): Step {
  const step = 'path';
  const { kind, path, rtt, handshake } = session;
  if (kind === 'none') {
    const text = `There is no path to ${name}: no edge is known by an address that could relay.`;
    const remedy = '`connector status` says what is wrong with the edge.';
    return failedStep({ step, at, text }, remedy, at);
  }
  if (kind === 'relayed' && session.edgeSilent && !('facts' in told)) {
    const text = `To ${name} ${path}, but this gateway does not hear from that edge.`;
    const remedy =
      'See that the edge runs, and that UDP and TCP to it pass: `connector status` says more.';
    return failedStep({ step, at, text }, remedy, at);
  }
  const remedy = `Is the gateway of ${name} running, and bound to the edge (\`connector show ${name}\`)?`;
  if (handshake === null) {
    const text = `To ${name} ${path}, but no handshake was ever answered.`;
    return failedStep({ step, at, text }, remedy, 'edge');
  }
  const parts = [
    path,
    ...(rtt === null ? [] : [`RTT ${rtt.toFixed(1)} ms`]),
    describeMtu(session),
    `last handshake ${handshake} s ago`,
  ];
  const text = `To ${name} ${parts.join(', ')}.${'facts' in told ? describeBack(told.facts, session) : ''}`;
  if (handshake <= SESSION_LASTS || 'facts' in told) return okStep(step, at, text);
  return failedStep({ step, at, text: `${text} That session is over.` }, remedy, 'edge');
}

function describeMtu({ mtu, interfaceMtu }: Session): string {
  return mtu === null ? `MTU not known yet, ${interfaceMtu} at most` : `MTU ${mtu}`;
}

/** Each direction has its own path; what is the same is not said twice. */
function describeBack({ path: back }: SideFacts, { kind, mtu }: Session): string {
  if (back === null || back.kind === 'none') return '';
  const differs = [
    ...(back.kind === kind ? [] : [back.kind]),
    ...(back.mtu === null || back.mtu === mtu ? [] : [`MTU ${back.mtu}`]),
  ];
  return differs.length === 0 ? '' : ` The way back is another: ${differs.join(', ')}.`;
}

/**
 * What the other gateway said about itself, or why there is nothing.
 *
 * @param here revision of the netmap in force here
 */
export function answerStep({ name, told }: Other, here: number, { edgeSilent }: Session): Step {
  if (!('facts' in told)) {
    if (told.kind === 'timeout' && edgeSilent && !told.alive) {
      return uncheckedStep('gateway', name, 'It cannot be asked while the path to it is cut.');
    }
    return silenceStep(told, name, here);
  }
  const { revision } = told.facts;
  const same =
    revision === here
      ? `netmap revision ${revision}, as here`
      : `netmap revision ${revision}, here ${here}`;
  return okStep('gateway', name, `It answers through the mesh: ${same}.`);
}

function silenceStep(told: Silence, at: string, revision: number): Step {
  const found = (text: string) => ({ step: 'gateway', at, text });
  switch (told.kind) {
    case 'timeout':
      return timeoutStep(told, found, at);
    case 'refused':
      return failedStep(
        found(
          'Its host answers through the mesh, but explains nothing: the gateway there is of an earlier version, or runs with --no-diagnosis.',
        ),
        `Look there: \`connector routes explain\` with the same addresses, or update it.`,
        at,
      );
    case 'busy':
      return failedStep(found('It is asked too often.'), 'Ask again in some seconds.', at);
    case 'not-yours':
      return failedStep(
        found(
          `It does not know the asker's address as the asker's: its netmap is of revision ${told.revision}, the one here of ${revision}. What comes from there it drops (in_source_not_allowed).`,
        ),
        'If this stays, `connector status` there says why the edge is not heard; `connector routes overlaps` shows who else has the address.',
        at,
      );
    case 'not-ours':
      return failedStep(
        found(
          `It does not know that address as its own, and drops what comes for it (in_destination_not_own): its netmap is of revision ${told.revision}, the one here of ${revision}.`,
        ),
        'If this stays, `connector status` there says why the edge is not heard.',
        at,
      );
    default:
      return failedStep(
        found('It answered with something that is no answer: it is of another version.'),
        'Use the same version at both ends.',
        at,
      );
  }
}

function timeoutStep(
  { denied, closed, alive }: Silence & { readonly kind: 'timeout' },
  found: (text: string) => Pick<Step, 'step' | 'at' | 'text'>,
  at: string,
): Step {
  if (denied) {
    const text = `The policy allows nothing at all between the two, so the edge relays nothing, and ${at} cannot be asked.`;
    return failedStep(found(text), 'Allow what is to pass; then ask again.', 'edge');
  }
  const why = closed
    ? ', or it runs with --no-diagnosis, and the policy denies that port between the two'
    : '';
  if (alive) {
    const text = `Its daemon is there, but TCP port ${DIAGNOSIS_PORT} does not answer: a firewall of that host drops what comes in there, or the answers${why}.`;
    const remedy = `Accept TCP port ${DIAGNOSIS_PORT} from the mesh's interface there, or run \`connector routes explain\` there.`;
    return failedStep(found(text), remedy, at);
  }
  const text = `It does not answer through the mesh: its gateway or the way there is down, or a firewall of its host drops TCP port ${DIAGNOSIS_PORT} from the mesh${why}.`;
  const remedy = '`connector doctor` there says what is wrong. If it does not run, start it:';
  return failedStep(found(text), remedy, at, 'connector up');
}

/** Cryptokey routing at the flow's end: a source is taken from its own connector only. */
export function acceptStep(target: Side, origin: string | undefined): Step {
  const { name: at, far, facts } = target;
  const { chosen } = facts.far;
  if (chosen !== null && chosen.connector === origin) {
    const by = chosen.prefix === null ? 'its mesh IP' : `in ${chosen.prefix}`;
    return okStep('accept', at, `${at} takes ${far} from ${origin}: it is ${by}.`);
  }
  const whose =
    chosen === null
      ? `knows no connector that has ${far}`
      : `takes ${far} from ${chosen.connector} only, which has ${chosen.prefix ?? 'it as mesh IP'} (priority ${chosen.priority})`;
  const from = origin === undefined ? 'whatever comes with that source' : `from ${origin} it`;
  const text = `${at} ${whose}: ${from} is dropped (in_source_not_allowed).`;
  const remedy =
    origin === undefined
      ? `See whether a prefix around ${far} waits for approval (\`connector routes ls --state pending\`), or add one. What is in another virtual network is not reached.`
      : `Give ${origin} the prefix of ${far}, longer or with a lower priority number: \`connector routes add PREFIX --connector ${origin}\`.`;
  return failedStep({ step: 'accept', at, text }, remedy, 'edge');
}

/** What is not known without an answer. */
export function unknownStep(name: string, what: string): Step {
  return uncheckedStep('the rest', name, `Not known without an answer: ${what}.`);
}
