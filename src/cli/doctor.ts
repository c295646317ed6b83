/** `connector doctor`: all of this host that could stop the mesh's traffic, each with its remedy. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { CausewayError } from '../errors.ts';
import type { AppliedFix } from '../gateway/doctor/apply-fixes.ts';
import type { Examined } from '../gateway/doctor/examination.ts';
import { type Finding, ok, problem, skipped, warning } from '../gateway/doctor/finding.ts';
import {
  DEFAULT_CONFIGURATION_FILE,
  fileSettings,
  type GivenSettings,
  mergeSettings,
} from '../gateway/mesh/settings.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { chooseMtu } from '../tun/link.ts';
import { addGateway, type GivenGateway } from './gateway-options.ts';
import { givenOptions } from './given-options.ts';
import { count, print } from './output.ts';
import { wrap } from './table.ts';

const WIDTH = 80;

interface Options extends GivenGateway {
  readonly fix?: true;
  readonly json?: true;
}

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('all of this host that could stop traffic, each with its remedy')
    .option('--fix', 'do what is safe, and say how to undo it');
  return addGateway(command).option('--json', 'print JSON').action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  const { config, fix, json, ...given } = givenOptions<Options>(options, command);
  const file = await readFile(config);
  const settings = mergeSettings(given, file.settings);
  checkInterfaceName(settings.interface);
  const { examine, withFinding } = await import('../gateway/doctor/examination.ts');
  const { applyFixes } = await import('../gateway/doctor/apply-fixes.ts');
  const gateway = {
    interfaceName: await chosenInterface(given.interface, settings.interface),
    stateDirectory: settings.stateDir,
    mtu: settings.mtu === 'auto' ? await chooseMtu([]) : settings.mtu,
    diagnosis: settings.diagnosis,
  };
  const look = async (): Promise<Examined> => {
    const seen = await examine(gateway);
    return withFinding(seen, file.say(seen.running === true));
  };
  let examined = await look();
  const fixed = fix ? await applyFixes(examined.findings) : [];
  if (fixed.some(({ failure }) => failure === null)) examined = await look();
  print(json ? { json } : {}, { ...examined, fixed }, () => formatExamined(examined, fixed));
  if (examined.findings.some(({ status }) => status === 'problem')) process.exitCode = 1;
}

interface ReadFile {
  readonly settings: GivenSettings;
  /** @param running whether the gateway is up: it does not need the file any more */
  readonly say: (running: boolean) => Finding;
}

/** What `up` would read. With a mistake in it all else is looked at as if it were not there. */
async function readFile(config: string | undefined): Promise<ReadFile> {
  const file = config ?? DEFAULT_CONFIGURATION_FILE;
  try {
    const settings = await fileSettings(config);
    const found = existsSync(file)
      ? ok('configuration', `${file} is right.`)
      : skipped('configuration', `There is no ${file}: options say all.`);
    return { settings, say: () => found };
  } catch (error) {
    if (!(error instanceof CausewayError)) throw error;
    const { code, message } = error;
    if (code === 'FILE_ACCESS' && config !== undefined) throw error;
    if (code === 'FILE_ACCESS' && process.geteuid?.() !== 0) {
      return {
        settings: {},
        say: () => skipped('configuration', `This user may not read ${file}.`),
      };
    }
    const command = `connector config check ${file}`;
    return {
      settings: {},
      say: (running) =>
        running
          ? warning('configuration', `The next start will refuse it: ${message}`, command)
          : problem('configuration', `A start refuses it: ${message}`, command),
    };
  }
}

/**
 * The one that was named; else of those that run here the one of the settings, or the only one; else
 * the one of the settings, which does not run.
 */
async function chosenInterface(given: string | undefined, usual: string): Promise<string> {
  if (given !== undefined) return given;
  const { requestMeshesHere } = await import('../gateway/local-client.ts');
  const running = await requestMeshesHere().catch(() => []);
  const names = running.map(({ interface: name }) => name);
  if (names.includes(usual) || names.length === 0) return usual;
  if (names.length === 1) return names[0]!;
  const message = `Several gateways run here: say which one with --interface (${names.join(', ')}).`;
  throw new CausewayError('USAGE', message);
}

const MARKS = { ok: 'ok', warning: 'WARNING', problem: 'PROBLEM', skipped: 'skipped' } as const;
const STATUS_WIDTH = 9;

/** For people: lines of at most 80 columns, but for commands, which are whole. */
export function formatExamined(examined: Examined, fixed: readonly AppliedFix[]): string {
  const { connector, running, findings } = examined;
  const whose = connector === null ? 'in no mesh' : `connector ${connector}`;
  const head =
    running === null
      ? 'seen without root, not whole'
      : `${whose}, ${running ? 'running' : 'not running'}`;
  const names = Math.max(...findings.map(({ check }) => check.length)) + 2;
  return [
    `${examined.interface}, ${head}`,
    '',
    ...findings.flatMap((finding) => formatFinding(finding, names)),
    '',
    ...formatFixed(fixed),
    ...wrap(summary(findings), WIDTH),
    '',
  ].join('\n');
}

function formatFinding({ check, status, says, remedy, fixes }: Finding, names: number): string[] {
  const margin = ' '.repeat(STATUS_WIDTH + names);
  const head = `${MARKS[status].padEnd(STATUS_WIDTH)}${check.padEnd(names)}`;
  const lines = wrap(says, WIDTH - head.length).map(
    (line, i) => `${i === 0 ? head : margin}${line}`,
  );
  const hint = fixes.length > 0 ? [`${margin}(--fix does it)`] : [];
  return [...lines, ...remedy.map((command) => `${margin}# ${command}`), ...hint];
}

function formatFixed(fixed: readonly AppliedFix[]): string[] {
  if (fixed.length === 0) return [];
  const lines = fixed.flatMap(({ command, undo, failure }) =>
    failure === null
      ? [`did      # ${command}`, `to undo  # ${undo}`]
      : [...wrap(`failed   ${failure}`, WIDTH)],
  );
  return [...lines, 'None of this outlives a restart of the host.', ''];
}

function summary(findings: readonly Finding[]): string {
  const of = (status: Finding['status']): number =>
    findings.filter((finding) => finding.status === status).length;
  const [problems, warnings] = [of('problem'), of('warning')];
  if (problems + warnings === 0) return 'Nothing is wrong.';
  const fixable = findings.filter(
    ({ status, fixes }) => (status === 'problem' || status === 'warning') && fixes.length > 0,
  ).length;
  const rest = fixable === 0 ? '' : ` \`connector doctor --fix\` does what is safe: ${fixable}.`;
  return `${count(problems, 'problem')}, ${count(warnings, 'warning')}.${rest}`;
}
