/**
 * The commands of PreUp, PostUp, PreDown and PostDown: run by bash one after the other, with `%i`
 * replaced by the interface's name, as wg-quick(8) does. A background daemon has no terminal, so
 * what they print goes to the log.
 */
import { CausewayError } from '../errors.ts';
import { tryCommand } from '../tun/command.ts';
import type { Log } from './log.ts';

/**
 * Runs all of one kind; stops at the first that fails.
 *
 * @throws CausewayError COMMAND_FAILED with the command's last words, COMMAND_MISSING without bash
 */
export async function runHooks(
  kind: 'PreUp' | 'PostUp' | 'PreDown' | 'PostDown',
  commands: readonly string[],
  interfaceName: string,
  log: Log,
  signal?: AbortSignal,
): Promise<void> {
  const options = { group: true, ...(signal && { signal }) };
  for (const [index, command] of commands.entries()) {
    const expanded = command.replaceAll('%i', interfaceName);
    log.info({ kind, number: index + 1 }, 'running hook');
    // It may hold a secret.
    log.debug({ kind, number: index + 1, command: expanded }, 'hook');
    const { code, stdout, stderr } = await tryCommand('bash', ['-c', expanded], options);
    const output = `${stdout}${stderr}`.trim();
    if (output !== '') log.info({ kind, output }, 'hook printed');
    if (code === 0) continue;
    const words = output.split('\n').at(-1) || 'it printed nothing';
    throw new CausewayError(
      'COMMAND_FAILED',
      `The ${kind} command \`${expanded}\` ended with code ${code} (${words}).`,
    );
  }
}
