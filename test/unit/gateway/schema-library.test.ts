/** The schemas' library without its translations, in a process of its own: it is loaded once in each. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SOURCE = join(import.meta.dirname, '../../../src/gateway/schema-library.ts');

/** What a program prints that is run as a module of this package. */
function printed(program: string): string {
  const options = ['--input-type=module', '--eval', program];
  return execFileSync(process.execPath, options, { cwd: join(SOURCE, '..'), encoding: 'utf8' });
}

const SAY = `
  const { z } = await import('zod');
  const failed = z.object({ port: z.number().max(9) }).safeParse({ port: 10 });
  const languages = Object.keys(z.locales);
  console.log(JSON.stringify({ languages, message: failed.error.issues[0].message }));`;

it('loads no translation, and says the same in English', () => {
  const whole = JSON.parse(printed(SAY));
  const load = `const { loadSchemaLibrary } = await import(${JSON.stringify(SOURCE)});
    await loadSchemaLibrary();`;
  const without = JSON.parse(printed(load + SAY));
  expect(whole.languages).toContain('de');
  expect(without).toEqual({ languages: [], message: whole.message });
});
