/** Whether an edge's API is reached while no daemon runs: its name, TCP, TLS, and whether it is the one. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { CausewayError } from '../../errors.ts';
import { connectToEdge } from '../mesh/edge-connection.ts';
import { type Finding, ok, problem } from './finding.ts';
import type { KnownIdentity } from './state-check.ts';

/** One of the URLs is enough. */
export async function checkApi({ urls, pins }: KnownIdentity): Promise<Finding> {
  const tried = await Promise.all(urls.map((url) => tryUrl(url, pins)));
  const reached = tried.find(({ status }) => status === 'ok');
  return reached ?? tried[0]!;
}

async function tryUrl(url: string, pins: KnownIdentity['pins']): Promise<Finding> {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) === 0) {
    const found = await lookup(host).catch((error: Error) => error);
    if (found instanceof Error) {
      const text = `The name ${host} of the edge has no address here (${found.message}): see /etc/resolv.conf and that the name server answers.`;
      return problem('api', text, `getent hosts ${host}`);
    }
  }
  try {
    const socket = await connectToEdge(url, pins);
    socket.destroy();
    return ok('api', `${url} answers, and is the edge that this host knows.`);
  } catch (error) {
    const { message, code } = error as CausewayError;
    const cure =
      code === 'EDGE_UNREACHABLE' ? 'See that TCP to it passes, here and on the way.' : '';
    return problem('api', `${message} ${cure}`.trim());
  }
}
