/**
 * `connector`: the command line of the mesh connector. `up` is a program of its own: it runs for years,
 * and would hold the code of all the other commands as long.
 */
import { reportFailure } from './failure.ts';
import { PROGRAM, rootProgram, withCommands } from './root-program.ts';

async function program() {
  if (process.argv[2] === 'up') {
    const { upCommand } = await import('./up.ts');
    return withCommands(rootProgram().addCommand(upCommand()));
  }
  const { buildProgram } = await import('./connector-program.ts');
  return buildProgram();
}

program()
  .then((built) => built.parseAsync())
  .catch((error: unknown) => reportFailure(PROGRAM, error));
