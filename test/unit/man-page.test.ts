/** The manual pages: complete, because they are written from the commands, and right for man(1). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { manPage } from '../../scripts/man-page.ts';
import { buildProgram } from '../../src/cli/connector-program.ts';
import { buildWgProgram } from '../../src/cli/connector-wg-program.ts';

const programs = [buildProgram(), buildWgProgram()].map(
  (program) => [program.name(), program] as const,
);
const hasMan = spawnSync('man', ['--version']).status === 0;

const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
const plain = (page: string): string => page.replaceAll('\\-', '-').replaceAll('\\e', '\\');

test.each(programs)('%s: every command and option', (name, program) => {
  const page = plain(manPage(program, '2026-01-31'));
  expect(page).toMatch(new RegExp(`^\\.TH ${name.toUpperCase()} 1 2026-01-31 `));
  for (const command of all(program)) {
    if (command.commands.length === 0) expect(page).toContain(command.name());
    for (const option of command.options) expect(page).toContain(option.long ?? option.short);
  }
  expect(page).toContain('LOG_LEVEL');
});

test.skipIf(!hasMan).each(programs)('%s: man(1) finds nothing wrong', (name, program) => {
  const folder = mkdtempSync(join(tmpdir(), 'man-'));
  try {
    const file = join(folder, `${name}.1`);
    writeFileSync(file, manPage(program, '2026-01-31'));
    const shown = spawnSync('man', ['--warnings', '-P', 'cat', '-l', file], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80' },
    });
    expect({ status: shown.status, stderr: shown.stderr }).toEqual({ status: 0, stderr: '' });
    expect(shown.stdout).toContain('SYNOPSIS');
    expect(shown.stdout).toContain('--crypto <which>');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
