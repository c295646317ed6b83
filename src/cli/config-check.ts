/** `connector config check`: every mistake of a gateway's configuration file, with line and remedy. */
import { Command } from 'commander';
import { CausewayError } from '../errors.ts';
import { DEFAULT_CONFIGURATION_FILE } from '../gateway/mesh/settings.ts';
import { count, print } from './output.ts';

interface Options {
  readonly json?: true;
}

export function configCheckCommand(): Command {
  return new Command('check')
    .description("say what is wrong with a gateway's configuration file, if anything is")
    .argument('[file]', 'the file', DEFAULT_CONFIGURATION_FILE)
    .option('--json', 'print JSON')
    .action(run);
}

async function run(file: string, options: Options): Promise<void> {
  const { checkSettingsFile } = await import('../gateway/mesh/settings-file.ts');
  const mistakes = await checkSettingsFile(file);
  print(options, { file, mistakes }, () =>
    mistakes.length === 0
      ? `${file} is right.\n`
      : mistakes
          .map(({ line, code, message }) => `${file}:${line}: ${message} [${code}]\n`)
          .join(''),
  );
  if (mistakes.length > 0) {
    const text = `${file} has ${count(mistakes.length, 'mistake')}: correct what is said above.`;
    throw new CausewayError('CONFIG_VALUE', text);
  }
}
