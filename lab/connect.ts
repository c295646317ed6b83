/** TCP connections from a namespace. */
import type { Namespace } from './namespace.ts';

/** What a connection may take that is to open. A busy machine takes a second to start a shell. */
const OPENS_WITHIN = 10;
/** For how long one is tried that is not to. */
const STAYS_SHUT = 1;

/** Whether one opens. */
export function opens(from: Namespace, address: string, port: number): Promise<boolean> {
  return connects(from, address, port, OPENS_WITHIN);
}

/** Whether none does, whether it is refused or nothing comes back. */
export async function isShut(from: Namespace, address: string, port: number): Promise<boolean> {
  return !(await connects(from, address, port, STAYS_SHUT));
}

async function connects(
  from: Namespace,
  address: string,
  port: number,
  seconds: number,
): Promise<boolean> {
  const connect = `exec 3<>/dev/tcp/${address}/${port}`;
  return (await from.attempt(['timeout', `${seconds}`, 'bash', '-c', connect])).code === 0;
}
