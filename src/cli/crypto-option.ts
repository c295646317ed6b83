/** `--crypto`, the same for every command that opens a tunnel. */
import { Option } from 'commander';

export function cryptoOption(): Option {
  return new Option('--crypto <which>', 'implementation of the cryptography')
    .choices(['auto', 'noble', 'openssl'])
    .default('auto');
}
