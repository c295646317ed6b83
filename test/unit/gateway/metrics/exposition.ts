/**
 * A reader of Prometheus' text format (exposition_formats, version 0.0.4), written for tests and
 * stricter than the real one: each metric has HELP and TYPE, its samples follow, nothing is twice.
 */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
  /** The value of the one sample that has these labels; undefined = there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

export function readExposition(text: string): Exposition {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const samples: Sample[] = [];
  const seen = new Set<string>();
  let current = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (!NAME.test(name)) throw new Error(`no name: ${line}`);
      if (kind === 'HELP') {
        if (helps.has(name)) throw new Error(`HELP twice: ${name}`);
        helps.add(name);
      } else {
        if (types.has(name)) throw new Error(`TYPE twice: ${name}`);
        types.set(name, rest);
      }
      current = name;
      continue;
    }
    const sample = readSample(line);
    if (sample.name !== current || !types.has(current) || !helps.has(current)) {
      throw new Error(`a sample without its HELP and TYPE: ${line}`);
    }
    const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).toSorted())}`;
    if (seen.has(key)) throw new Error(`a series twice: ${line}`);
    seen.add(key);
    samples.push(sample);
  }
  return {
    types,
    samples,
    value(name, labels = {}) {
      const wanted = JSON.stringify(Object.entries(labels).toSorted());
      const found = samples.filter(
        (sample) =>
          sample.name === name &&
          JSON.stringify(Object.entries(sample.labels).toSorted()) === wanted,
      );
      return found[0]?.value;
    },
  };
}

function readSample(line: string): Sample {
  const head = /^([a-zA-Z_:][a-zA-Z0-9_:]*)/.exec(line)?.[1];
  if (head === undefined) throw new Error(`no sample: ${line}`);
  let at = head.length;
  const labels: Record<string, string> = {};
  if (line[at] === '{') {
    at++;
    while (line[at] !== '}') {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/.exec(line.slice(at));
      if (label === null) throw new Error(`no label at ${at}: ${line}`);
      labels[label[1]!] = label[2]!.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
      at += label[0].length;
      if (line[at] === ',') at++;
      else if (line[at] !== '}') throw new Error(`labels do not end: ${line}`);
    }
    at++;
  }
  const value = /^ (\S+)$/.exec(line.slice(at))?.[1];
  if (value === undefined) throw new Error(`no value: ${line}`);
  const number = Number(value.replace('Inf', 'Infinity'));
  if (Number.isNaN(number) && !/^nan$/i.test(value)) throw new Error(`no number: ${line}`);
  return { name: head, labels, value: number };
}
