/** Who may make interfaces and may not open the TUN driver's device is told of the device. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Lab } from '../../lab/lab.ts';
import { netnsSuite } from './suite.ts';

const SOURCE = join(import.meta.dirname, '../../src');

/** Opens a TUN device as a user without root's rights but with CAP_NET_ADMIN, and says the error. */
const OPEN = `
  const { loadAddon } = await import('${SOURCE}/native/addon.ts');
  const { openTun } = await import('${SOURCE}/tun/tun-device.ts');
  try { openTun(loadAddon(), 'cw0', 1280); console.log('opened'); }
  catch ({ code, message }) { console.log(code, message); }`;

netnsSuite('permission for TUN', ['setpriv', 'unshare', 'mknod'], () => {
  test('the mode of the device is named where it is the trouble', { timeout: 30_000 }, async () => {
    await using lab = new Lab();
    const host = await lab.namespace('host');
    const open = (mode: string, capabilities: string): Promise<string> => {
      // A device of this test's own, in its own view of the files.
      const device = `${host.folder}/tun-${mode}`;
      const script = `
        rm -f ${device} && mknod -m ${mode} ${device} c 10 200 && mount --bind ${device} /dev/net/tun &&
        exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps ${capabilities} \\
          --ambient-caps ${capabilities} --bounding-set ${capabilities} "$0" -e "$1"`;
      const view = ['unshare', '--mount', 'bash', '-c', script];
      return host.run([...view, process.execPath, OPEN]);
    };
    expect(await open('0600', '-all,+net_admin')).toMatch(
      /^PERMISSION .* mode is 0600, owner 0:0\. Open it: `chmod 0666 \/dev\/net\/tun`/,
    );
    expect(await open('0666', '-all')).toMatch(/^PERMISSION .*CAP_NET_ADMIN/);
    expect(await open('0666', '-all,+net_admin')).toBe('opened\n');
  });
});
