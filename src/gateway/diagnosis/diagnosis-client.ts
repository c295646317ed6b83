/** Asks another gateway about a flow, from our mesh IP to its mesh IP. */
import { request } from 'node:http';
import type { SideFacts } from '../explain/side-facts.ts';
import {
  ASK_WITHIN,
  CONNECT_WITHIN,
  DIAGNOSIS_PORT,
  FACTS_PATH,
  type FlowRequest,
  flowAnswerSchema,
  MAX_ANSWER,
} from './protocol.ts';

export type Asked =
  | { readonly facts: SideFacts }
  | { readonly kind: 'not-yours' | 'not-ours'; readonly revision: number }
  | { readonly kind: 'timeout' | 'refused' | 'busy' | 'strange' };

/**
 * Does not reject.
 *
 * @param from our mesh IP
 * @param to mesh IP of the other, of the same family
 */
export async function askGateway(
  from: string,
  to: string,
  flow: FlowRequest,
  within = ASK_WITHIN,
  port: number = DIAGNOSIS_PORT,
): Promise<Asked> {
  const answer = await post({ from, to, port }, JSON.stringify(flow), within);
  if (typeof answer === 'string') return { kind: answer };
  const { status, text } = answer;
  if (status === 429 || status === 503) return { kind: 'busy' };
  const parsed = flowAnswerSchema.safeParse(status === 200 ? parseJson(text) : undefined);
  if (!parsed.success) return { kind: 'strange' };
  if ('facts' in parsed.data) return parsed.data;
  return { kind: parsed.data.refused, revision: parsed.data.revision };
}

interface Ends {
  readonly from: string;
  readonly to: string;
  readonly port: number;
}

function post(
  { from, to, port }: Ends,
  body: string,
  within: number,
): Promise<{ readonly status: number; readonly text: string } | 'timeout' | 'refused' | 'strange'> {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<typeof post>>>();
  const asking = request({
    host: to,
    localAddress: from,
    port,
    path: FACTS_PATH,
    method: 'POST',
    agent: false,
    maxHeaderSize: 4_096,
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  });
  const giveUp = (): void => {
    resolve('timeout');
    asking.destroy();
  };
  const timer = setTimeout(giveUp, within);
  const connecting = setTimeout(giveUp, Math.min(within, CONNECT_WITHIN));
  asking.on('socket', (socket) => socket.once('connect', () => clearTimeout(connecting)));
  asking.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_ANSWER) {
        resolve('strange');
        asking.destroy();
      }
    });
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    response.on('close', () => resolve('strange'));
    response.on('error', () => resolve('strange'));
  });
  asking.on('error', (error: NodeJS.ErrnoException) => {
    // What the kernel says by itself when nobody listens; anything else came from no gateway.
    if (error.code === 'ECONNREFUSED') resolve('refused');
    else resolve(asking.socket?.connecting === false ? 'strange' : 'timeout');
  });
  asking.end(body);
  return promise.finally(() => {
    clearTimeout(timer);
    clearTimeout(connecting);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
