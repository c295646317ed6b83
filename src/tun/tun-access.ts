/** Whether the TUN driver's device may be opened at all, which capabilities for interfaces do not help with. */
import { closeSync, openSync, statSync } from 'node:fs';
import { constants } from 'node:os';

export const TUN = '/dev/net/tun';
/** Bits for reading and writing by everyone, which the driver asks for: it checks who creates what by itself. */
const FOR_ALL = 0o666;

/** Why this process cannot open it, with what to do, a sentence or two; undefined = it can, or it is not there. */
export function tunRefusal(path = TUN): string | undefined {
  try {
    closeSync(openSync(path, 'r+'));
    return undefined;
  } catch (error) {
    const { errno = 0 } = error as NodeJS.ErrnoException;
    if (errno !== -constants.errno.EACCES && errno !== -constants.errno.EPERM) return undefined;
  }
  const { mode, uid, gid } = statSync(path);
  if ((mode & FOR_ALL) !== FOR_ALL) {
    const has = (mode & 0o777).toString(8).padStart(4, '0');
    return `${path} is closed to this user, with or without capabilities: its mode is ${has}, owner ${uid}:${gid}. Open it: \`chmod 0666 ${path}\`, as udev does.`;
  }
  return `${path} may not be opened here, although its mode allows it: hand the device to the container (--device ${path}), or allow it in the service's DeviceAllow=.`;
}
