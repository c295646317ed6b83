/** `connector`: the command line of the mesh connector. */
import { buildProgram, PROGRAM } from './connector-program.ts';
import { reportFailure } from './failure.ts';

buildProgram()
  .parseAsync()
  .catch((error: unknown) => reportFailure(PROGRAM, error));
