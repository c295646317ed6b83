/** `connector routes explain SRC DST`: what becomes of a flow at both of its gateways, step by step. */
import { Command, Option } from 'commander';
import { PROTOCOL_NAMES, type ProtocolName } from '../control/policy/services.ts';
import { CausewayError } from '../errors.ts';
import type { Explanation, Question, Remedy, Step } from '../gateway/explain/explanation.ts';
import { numberFrom } from './number-argument.ts';
import { print } from './output.ts';
import { wrap } from './table.ts';
import { runningGateways } from './this-gateway.ts';

const WIDTH = 80;

interface Options {
  readonly proto?: ProtocolName;
  readonly port?: number;
  readonly interface?: string;
  readonly json?: true;
}

export function routesExplainCommand(): Command {
  return new Command('explain')
    .description('on a gateway: follow a flow and its answer through both gateways')
    .argument('<source>', 'an address, or a connector for its mesh IP')
    .argument('<destination>', 'the same')
    .addOption(new Option('--proto <protocol>', 'of the flow').choices(PROTOCOL_NAMES))
    .option('--port <port>', 'of the destination', numberFrom(0, 65_535))
    .option('--interface <name>', 'the gateway on this interface')
    .option('--json', 'print JSON')
    .action(run);
}

async function run(source: string, destination: string, options: Options): Promise<void> {
  const { proto: protocol, port } = options;
  const question = {
    ...{ source, destination },
    ...(protocol === undefined ? {} : { protocol }),
    ...(port === undefined ? {} : { port }),
  };
  const explanation = await explain(question, options.interface);
  print(options, explanation, () => formatExplanation(explanation));
  if (!explanation.ok) process.exitCode = 1;
}

/** Of several gateways on a host, the one that the flow concerns. */
async function explain(question: Question, interfaceName?: string): Promise<Explanation> {
  const { requestExplanation } = await import('../gateway/local-client.ts');
  const gateways = await runningGateways(interfaceName);
  const told: Explanation[] = [];
  let refused: unknown;
  for (const gateway of gateways) {
    try {
      const explanation = await requestExplanation(gateway.interface, question);
      if (explanation?.concerned) return explanation;
      if (explanation !== undefined) told.push(explanation);
    } catch (error) {
      // A name that one of several meshes does not know.
      refused ??= error;
    }
  }
  const [first] = told;
  if (first !== undefined) return first;
  throw refused ?? new CausewayError('INTERFACE_MISSING', 'The gateway ended meanwhile.');
}

const MARKS = { ok: 'ok', failed: 'FAILED', unchecked: '-' } as const;
const INDENT = '  ';

/** For people: lines of at most 80 columns, but for commands. */
export function formatExplanation(explanation: Explanation): string {
  const { flow, connector, steps, ok } = explanation;
  const width = Math.max(...steps.map(({ step }) => step.length));
  const lines = steps.flatMap((step, i) => [
    ...(steps[i - 1]?.at === step.at ? [] : ['', headOf(step, connector)]),
    ...formatStep(step, width),
  ]);
  const close = ok ? passes(explanation) : summaryOf(steps);
  return `${[flow, ...lines, '', ...wrap(close, WIDTH)].join('\n')}\n`;
}

function passes({ source, destination, steps }: Explanation): string {
  const end = steps.find(({ step }) => step === 'destination')?.at;
  // Only what is for a host is forwarded.
  const isHost = steps.some(({ step, at }) => step === 'forwarding' && at === end);
  const look = isHost
    ? `look at ${destination}: its firewall, and whether it sends what is for ${source} to its gateway of the mesh`
    : `see whether anything listens there: \`connector capture --filter 'host ${destination}'\` on both gateways shows how far it comes`;
  return `Both gateways let it pass, both ways. If there is no answer all the same, ${look}.`;
}

function headOf({ at }: Step, connector: string): string {
  return at === connector ? `At ${at}, here:` : `At ${at}:`;
}

function formatStep({ step, state, text, remedy }: Step, width: number): string[] {
  const mark = `${INDENT}${MARKS[state].padEnd(MARKS.failed.length)}${INDENT}`;
  const start = `${mark}${step.padEnd(width)}${INDENT}`;
  const margin = ' '.repeat(start.length);
  const said = wrap(text, WIDTH - start.length).map(
    (line, i) => `${i === 0 ? start : margin}${line}`,
  );
  if (remedy === null) return said;
  const arrow = `${' '.repeat(mark.length)}-> `;
  const under = ' '.repeat(arrow.length);
  const todo = wrap(`${placeOf(remedy)}${remedy.text}`, WIDTH - arrow.length);
  return [
    ...said,
    ...todo.map((line, i) => `${i === 0 ? arrow : under}${line}`),
    // Whole and with nothing behind them, to be copied.
    ...remedy.commands.map((command) => `${under}$ ${command}`),
  ];
}

function placeOf({ at }: Remedy): string {
  if (at === null) return '';
  return at === 'edge' ? 'On the edge: ' : `At ${at}: `;
}

function summaryOf(steps: readonly Step[]): string {
  const failed = steps.filter(({ state }) => state === 'failed');
  if (failed.length === 0) return 'Not everything could be checked.';
  const names = failed.map(({ step, at }) => `${step} at ${at}`).join(', ');
  return `It does not pass: ${names}.`;
}
