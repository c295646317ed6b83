/** What `doctor --fix` does: the steps of the findings that are safe, each once, one after the other. */
import { runCommand } from '../../tun/command.ts';
import type { Finding, Fix } from './finding.ts';

export interface AppliedFix {
  readonly command: string;
  /** Undoes it. */
  readonly undo: string;
  /** Why it could not be done; null = it was. */
  readonly failure: string | null;
}

export async function applyFixes(findings: readonly Finding[]): Promise<AppliedFix[]> {
  const steps = new Map<string, Fix>();
  for (const { status, fixes } of findings) {
    if (status !== 'problem' && status !== 'warning') continue;
    for (const fix of fixes) steps.set(fix.command.join(' '), fix);
  }
  const applied: AppliedFix[] = [];
  for (const [command, fix] of steps) {
    const [program = '', ...args] = fix.command;
    const failure = await runCommand(program, args).then(
      () => null,
      (error: unknown) => (error as Error).message,
    );
    applied.push({ command, undo: fix.undo.join(' '), failure });
  }
  return applied;
}
