/** `connector-wg`: the command line of the drop-in for wireguard-go. */
import { buildWgProgram, WG_PROGRAM } from './connector-wg-program.ts';
import { reportFailure } from './failure.ts';

buildWgProgram()
  .parseAsync()
  .catch((error: unknown) => reportFailure(WG_PROGRAM, error));
