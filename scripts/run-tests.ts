/**
 * `npm test`: lint, types, then every vitest project; ends with one line of counts. Arguments go to
 * vitest (`npm test -- test/unit`, `npm test -- --project netns`). A whole run as root in CI (`CI` is
 * set) fails if suites were skipped that need the real kernel.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { unexpectedSkips } from './unexpected-skips.ts';

const REPORT = 'build/test-report.json';

const args = process.argv.slice(2);
const isRoot = process.getuid?.() === 0;
const mustRunAll = isRoot && Boolean(process.env.CI) && args.length === 0;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Runs a program of node_modules/.bin in the foreground; its exit code. */
function run(command: string, args: readonly string[]): number {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) process.stderr.write(`${command}: ${error.message}\n`);
  return status ?? 1;
}

function check(counts: Counts, command: string, args: readonly string[]): void {
  process.stdout.write(`\n> ${command} ${args.join(' ')}\n`);
  if (run(command, args) === 0) counts.passed += 1;
  else counts.failed += 1;
}

/** Says what CI must not skip; how many suites that are. */
function tellSkips(skips: readonly string[]): number {
  if (skips.length > 0) process.stdout.write('\nFAILED, for CI as root must run these:\n');
  for (const line of skips) process.stdout.write(`  ${line}\n`);
  return skips.length;
}

/** Vitest's own counts; a crash that leaves no report counts as one failure. */
function vitest(counts: Counts, args: readonly string[]): void {
  mkdirSync('build', { recursive: true });
  rmSync(REPORT, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  const status = run('vitest', ['run', '--passWithNoTests', ...reporters, ...args]);
  let failed = 0;
  try {
    const report = JSON.parse(readFileSync(REPORT, 'utf8'));
    const tests = report.testResults as { assertionResults: unknown[]; status: string }[];
    counts.passed += report.numPassedTests;
    counts.skipped += report.numPendingTests + report.numTodoTests;
    // A file that does not even load has no tests to count.
    failed = report.numFailedTests;
    failed += tests.filter(
      (file) => file.status === 'failed' && !file.assertionResults.length,
    ).length;
    if (mustRunAll) failed += tellSkips(unexpectedSkips(report, process.cwd()));
  } catch {
    failed = 1;
  }
  counts.failed += failed === 0 && status !== 0 ? 1 : failed;
}

const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
if (args.length === 0) {
  check(counts, 'biome', ['check', '--error-on-warnings', '.']);
  check(counts, 'tsc', ['-b']);
}
if (!isRoot) {
  process.stdout.write('\nnetns, interop and parts of native are skipped: they need root.\n');
}
// Without a choice, all but what takes minutes.
vitest(counts, args.includes('--project') ? args : ['--project', '!long', ...args]);
const { passed, failed, skipped } = counts;
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exitCode = failed > 0 ? 1 : 0;
