/**
 * Suites that CI must not skip: as root nothing keeps those that need the real kernel from running but
 * an installation step that is missing, and a missing one must not pass for success.
 */
import { relative } from 'node:path';

/** The part of vitest's JSON report that is looked at. */
export interface TestReport {
  readonly testResults: readonly {
    /** Path of the test's file. */
    readonly name: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly ancestorTitles: readonly string[];
      readonly title: string;
    }[];
  }[];
}

const KERNEL_TESTS = /^test\/(netns|interop)\//;
/** As a suite's title says why it is skipped. */
const REASON = /\(skipped: (.*)\)/;
/** Reasons that no installation takes away. */
const EXPECTED = [/^takes minutes\b/, /^the kernel has WireGuard itself$/];

/**
 * One line for each suite of the netns and interop projects that was skipped without need, with the
 * reason.
 *
 * @param root that the tests' folder is in
 */
export function unexpectedSkips(report: TestReport, root: string): string[] {
  const lines = new Set<string>();
  for (const { name, assertionResults } of report.testResults) {
    const file = relative(root, name);
    if (!KERNEL_TESTS.test(file)) continue;
    for (const { status, ancestorTitles, title } of assertionResults) {
      if (status === 'passed' || status === 'failed') continue;
      const full = [...ancestorTitles, title].join(' > ');
      const reason = REASON.exec(full)?.[1];
      if (reason === undefined) lines.add(`${file}: ${full}: skipped without a reason`);
      else if (!EXPECTED.some((expected) => expected.test(reason))) {
        lines.add(`${file}: ${ancestorTitles[0] ?? title}`);
      }
    }
  }
  return [...lines];
}
