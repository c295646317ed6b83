/**
 * A daemon as a command: in the foreground, or as the background child that reports on its pipe.
 */
import { CausewayError } from '../errors.ts';
import { type DaemonOptions, runDaemon } from '../gateway/daemon.ts';
import type { Log } from '../gateway/log.ts';
import { ServiceManager } from '../gateway/service-manager.ts';
import { returnStartMemory } from '../gateway/start-memory.ts';
import type { ReadinessPipe } from './background.ts';
import { reportFailure } from './failure.ts';

/**
 * Runs it to its end and sets the exit code. The process is to be left to end by itself, or with
 * `process.exit()`: everything is closed.
 */
export async function runDaemonCommand(
  program: string,
  pipe: ReadinessPipe | undefined,
  prepare: (
    onWarning: (message: string) => void,
  ) => Promise<Omit<DaemonOptions, 'onReady' | 'service'>>,
): Promise<void> {
  // Who started a daemon that goes to the background is told by its parent's exit.
  const service = pipe === undefined ? ServiceManager.inherited() : new ServiceManager(undefined);
  try {
    const warnings: string[] = [];
    let log: Log | undefined;
    const options = await prepare((message) => {
      warnings.push(message);
      log?.warn(message);
    });
    log = options.log;
    for (const warning of warnings) log.warn(warning);
    // A daemon keeps no directory busy that somebody may want to unmount.
    if (pipe !== undefined) process.chdir('/');
    const onReady = (): void => {
      pipe?.ready(warnings);
      returnStartMemory();
    };
    const end = await runDaemon({ ...options, onReady, service });
    if (end.cause === 'failed') throw end.error;
    // Ended before it was ready: for the parent that is a failure.
    pipe?.failed(new CausewayError('START_FAILED', `It was ended while starting (${end.cause}).`));
  } catch (error) {
    pipe?.failed(error);
    if (pipe === undefined) reportFailure(program, error);
    process.exitCode = 1;
  }
}
