/**
 * Finds traffic that goes one way: connections to a prefix of another connector that are never
 * answered, or connections out of the mesh that our own site never answers. Pure: it is told at each
 * look at the kernel's connections which there are, and what time it is.
 *
 * Evidence is a connection without an answer whose protocol owes one: a TCP SYN, an ICMP echo. UDP that
 * has no answers (syslog, RTP) is none. The rule, for each prefix and direction:
 *
 * - a connection counts when it was without an answer for UNANSWERED_AFTER;
 * - connections of one origin to more than SCANNED hosts are a scan, and do not count;
 * - if any host of the prefix has answered within KNOWN_FOR, one of those must be among the silent:
 *   otherwise somebody asks for hosts that do not exist;
 * - MIN_FLOWS such connections to MIN_HOSTS hosts make a suspicion: one dead host never does;
 * - a suspicion is a finding at the next look, unless any new connection to the prefix was answered
 *   meanwhile: then what is silent are some hosts, not the prefix;
 * - a new answer ends a finding, and what was silent until then does not count any more; so does
 *   FORGOTTEN_AFTER without any evidence.
 *
 * If a peer sent nothing at all since the suspicion, a keepalive for what reached it included, the
 * trouble is with the peer and not with the prefix.
 *
 * Bounded: so many prefixes, connections and hosts of each; what is beyond is not looked at.
 */

/** ms that an answer may take: a SYN was repeated twice by then. */
export const UNANSWERED_AFTER = 4_000;
export const MIN_FLOWS = 3;
export const MIN_HOSTS = 2;
const SCANNED = 8;
const KNOWN_FOR = 3_600_000;
const FORGOTTEN_AFTER = 300_000;
/** ms in which a peer that gets data sends something: KEEPALIVE_TIMEOUT (10 s), and the way. */
const PEER_SPEAKS_WITHIN = 15_000;

const MAX_SUBJECTS = 1_024;
const MAX_SILENT = 256;
const MAX_ANSWERED = 1_024;
const MAX_HOSTS = 256;
/** Hosts that a finding names. */
const NAMED = 3;

/** `out`: to another connector's prefix; `in`: out of the mesh, to ours. */
export type Direction = 'out' | 'in';

/** A prefix that connections go to. */
export interface Target {
  readonly prefix: string;
  readonly connector: string;
  /** Of the peer that carries it; empty for ours. */
  readonly publicKey: string;
}

export interface Finding extends Target {
  readonly direction: Direction;
  /** `peer`: it sends nothing at all. `prefix`: it is alive, or it is our own site. */
  readonly about: 'peer' | 'prefix';
  /** ms since the Unix epoch. */
  readonly since: number;
  readonly flows: number;
  /** How many are silent, and some of them. */
  readonly hosts: number;
  readonly named: readonly string[];
  /** They answered before. */
  readonly known: boolean;
}

interface Silent {
  readonly since: number;
  readonly host: number;
  readonly origin: number;
  readonly name: string;
}

interface Subject {
  readonly target: Target;
  readonly direction: Direction;
  /** Connections without an answer at the last look, and at this one. */
  silent: Map<number, Silent>;
  seen: Map<number, Silent>;
  /** Connections with an answer, the same; only of a subject that has silent ones. */
  answered: Set<number> | undefined;
  seenAnswered: Set<number>;
  /** Silent when others were answered. */
  excused: Set<number>;
  /** Hosts that have answered, and when. */
  readonly known: Map<number, number>;
  fresh: boolean;
  /** Since when it is suspected, and what the peer had sent by then. */
  suspected: { readonly at: number; readonly heard: number } | undefined;
  finding: Finding | undefined;
  /** When there was evidence last. */
  evidence: number;
}

export class OneWayDetector {
  readonly #subjects = { out: new Map<string, Subject>(), in: new Map<string, Subject>() };
  #now = 0;

  /** @param now ms since the Unix epoch */
  beginLook(now: number): void {
    this.#now = now;
  }

  /**
   * A connection that was answered.
   *
   * @param key names the connection
   * @param host a number for the host that it goes to
   */
  noteAnswered(direction: Direction, target: Target, key: number, host: number): void {
    const subject = this.#subject(direction, target);
    if (subject === undefined) return;
    subject.known.delete(host);
    if (subject.known.size < MAX_HOSTS) subject.known.set(host, this.#now);
    if (subject.silent.has(key)) subject.fresh = true;
    else if (subject.answered !== undefined && !subject.answered.has(key)) subject.fresh = true;
    if (subject.seenAnswered.size < MAX_ANSWERED) subject.seenAnswered.add(key);
    // More than can be told apart: a prefix that is well used is no silent one.
    else subject.fresh = true;
  }

  /**
   * A connection without an answer, of a protocol that owes one.
   *
   * @param origin a number for the host that it comes from
   * @param name of the host that it goes to
   */
  noteSilent(
    direction: Direction,
    target: Target,
    flow: { readonly key: number; readonly host: number; readonly origin: number },
    name: () => string,
  ): void {
    const subject = this.#subject(direction, target);
    if (subject === undefined || subject.seen.size >= MAX_SILENT) return;
    const { key, host, origin } = flow;
    const before = subject.silent.get(key);
    subject.seen.set(key, before ?? { since: this.#now, host, origin, name: name() });
  }

  /** The look is complete. @param heard bytes that a peer has sent */
  endLook(heard: (publicKey: string) => number): void {
    for (const subjects of [this.#subjects.out, this.#subjects.in]) {
      for (const [prefix, subject] of subjects) {
        this.#judge(subject, heard);
        if (isIdle(subject)) subjects.delete(prefix);
      }
    }
  }

  /** The look broke off: what it saw is no whole picture. */
  abandonLook(): void {
    for (const subjects of [this.#subjects.out, this.#subjects.in]) {
      for (const subject of subjects.values()) {
        subject.seen = new Map();
        subject.seenAnswered = new Set();
        subject.fresh = false;
      }
    }
  }

  /** Something is silent, so that the next look should be soon. */
  get isAlert(): boolean {
    const all = [...this.#subjects.out.values(), ...this.#subjects.in.values()];
    return all.some(({ finding, silent, excused }) => {
      return finding !== undefined || [...silent.keys()].some((key) => !excused.has(key));
    });
  }

  findings(): Finding[] {
    const all = [...this.#subjects.out.values(), ...this.#subjects.in.values()];
    return all.flatMap(({ finding }) => finding ?? []);
  }

  /** The netmap is another: what is said of prefixes that are not there any more goes. */
  retain(holds: (direction: Direction, target: Target) => boolean): void {
    for (const direction of ['out', 'in'] as const) {
      const subjects = this.#subjects[direction];
      for (const [prefix, { target }] of subjects) {
        if (!holds(direction, target)) subjects.delete(prefix);
      }
    }
  }

  #subject(direction: Direction, target: Target): Subject | undefined {
    const subjects = this.#subjects[direction];
    const known = subjects.get(target.prefix);
    if (known !== undefined && known.target.connector === target.connector) return known;
    if (known === undefined && subjects.size >= MAX_SUBJECTS) return undefined;
    const subject: Subject = {
      target,
      direction,
      silent: new Map(),
      seen: new Map(),
      answered: undefined,
      seenAnswered: new Set(),
      excused: new Set(),
      known: new Map(),
      fresh: false,
      suspected: undefined,
      finding: undefined,
      evidence: this.#now,
    };
    subjects.set(target.prefix, subject);
    return subject;
  }

  #judge(subject: Subject, heard: (publicKey: string) => number): void {
    const now = this.#now;
    const { seen, seenAnswered, excused, fresh, target } = subject;
    subject.silent = seen;
    subject.seen = new Map();
    subject.answered = seen.size > 0 || subject.finding !== undefined ? seenAnswered : undefined;
    subject.seenAnswered = new Set();
    subject.fresh = false;
    for (const [host, at] of subject.known) if (now - at > KNOWN_FOR) subject.known.delete(host);
    if (fresh) {
      subject.excused = new Set(seen.keys());
      subject.suspected = undefined;
      subject.finding = undefined;
      return;
    }
    for (const key of excused) if (!seen.has(key)) excused.delete(key);
    const evidence = evidenceOf(subject, now);
    if (evidence !== undefined) subject.evidence = now;
    else if (subject.finding === undefined) subject.suspected = undefined;
    else if (now - subject.evidence > FORGOTTEN_AFTER) {
      subject.finding = undefined;
      subject.suspected = undefined;
    }
    if (evidence === undefined) return;
    if (subject.suspected === undefined) {
      subject.suspected = { at: now, heard: heard(target.publicKey) };
      return;
    }
    const about = this.#culprit(subject, heard);
    if (about === undefined) return;
    const since = subject.finding?.since ?? evidence.since;
    subject.finding = { ...target, direction: subject.direction, ...evidence, about, since };
  }

  /** Undefined = it is too early to tell. */
  #culprit(
    { direction, target, suspected }: Subject,
    heard: (publicKey: string) => number,
  ): Finding['about'] | undefined {
    if (direction === 'in' || heard(target.publicKey) !== suspected!.heard) return 'prefix';
    return this.#now - suspected!.at >= PEER_SPEAKS_WITHIN ? 'peer' : undefined;
  }
}

type Evidence = Pick<Finding, 'since' | 'flows' | 'hosts' | 'named' | 'known'>;

/** What counts of a subject's silent connections, if it is enough. */
function evidenceOf({ silent, excused, known }: Subject, now: number): Evidence | undefined {
  const counting = [...silent]
    .filter(([key, { since }]) => now - since >= UNANSWERED_AFTER && !excused.has(key))
    .map(([, flow]) => flow);
  const asked = new Map<number, Set<number>>();
  for (const { origin, host } of counting) {
    const hosts = asked.get(origin);
    if (hosts === undefined) asked.set(origin, new Set([host]));
    else hosts.add(host);
  }
  const flows = counting.filter(({ origin }) => asked.get(origin)!.size <= SCANNED);
  const names = new Map(flows.map(({ host, name }) => [host, name]));
  const isKnown = [...names.keys()].some((host) => known.has(host));
  if (known.size > 0 && !isKnown) return undefined;
  if (flows.length < MIN_FLOWS || names.size < MIN_HOSTS) return undefined;
  return {
    since: Math.min(...flows.map(({ since }) => since)),
    flows: flows.length,
    hosts: names.size,
    named: [...names.values()].slice(0, NAMED),
    known: isKnown,
  };
}

function isIdle({ silent, known, finding, suspected }: Subject): boolean {
  return silent.size === 0 && known.size === 0 && !finding && !suspected;
}
