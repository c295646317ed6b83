/**
 * Names of network interfaces, by the kernel's rule (`dev_valid_name`): 1 to 15 bytes, no slash,
 * colon or white space, not `.` or `..`; and no `%`, which the kernel takes for a template.
 */
import { CausewayError } from '../errors.ts';

/** IFNAMSIZ − 1. */
const MAX_LENGTH = 15;

/** Why the kernel would refuse the name; undefined if it would take it. */
export function interfaceNameFault(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (new TextEncoder().encode(name).length > MAX_LENGTH)
    return `it has more than ${MAX_LENGTH} bytes`;
  if (name === '.' || name === '..') return 'the kernel reserves it';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
  if (/[\s/:%\u0000-\u001f\u007f]/.test(name)) return 'it contains white space, "/", ":" or "%"';
  return undefined;
}

/** @throws CausewayError INTERFACE_NAME */
export function checkInterfaceName(name: string): void {
  const fault = interfaceNameFault(name);
  if (fault === undefined) return;
  throw new CausewayError(
    'INTERFACE_NAME',
    `${JSON.stringify(name)} is no interface name: ${fault}. Take 1 to 15 letters, digits, "-" or "_".`,
  );
}
