/** The stream of netmaps over real TLS on the loopback: resumed, refused, broken off, ended for good. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ReplicaId } from '../../../../src/control/model.ts';
import { CausewayError } from '../../../../src/errors.ts';
import { EdgeClient } from '../../../../src/gateway/mesh/edge-client.ts';
import {
  type EdgeEvent,
  EdgeStream,
  type StreamState,
} from '../../../../src/gateway/mesh/edge-stream.ts';
import { FakeEdge, problem } from './fake-edge.ts';
import { netmap, uuid } from './netmaps.ts';

let edge: FakeEdge;
let stream: EdgeStream | undefined;
let known: string | undefined;
let events: EdgeEvent[];
let states: StreamState[];
let refuse = false;
const told: (() => void)[] = [];

beforeEach(async () => {
  edge = await FakeEdge.open();
  edge.answer = (_, response) => edge.stream(response);
  known = undefined;
  events = [];
  states = [];
  refuse = false;
});

afterEach(async () => {
  await stream?.close();
  await edge[Symbol.asyncDispose]();
});

function open(pin: string = edge.pin): void {
  stream = new EdgeStream({
    client: new EdgeClient([{ urls: [edge.url], tlsPins: [pin] }]),
    identity: { replica: uuid(1) as ReplicaId, credential: 'credential-of-a-replica' },
    netmapId: () => known,
    onEvent: async (event) => {
      if (refuse) throw new CausewayError('NETMAP_INVALID', 'does not fit');
      if (event.kind !== 'gone') known = event.id;
      events.push(event);
      for (const tell of told.splice(0)) tell();
    },
    onState: (state) => {
      states.push(state);
      for (const tell of told.splice(0)) tell();
    },
    log: pino({ level: 'silent' }),
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => told.push(resolve));
}

test('a netmap, a delta, and after a break the last revision', async () => {
  const first = edge.next();
  open();
  expect(await first).toMatchObject({
    path: expect.stringMatching(`^/v1/netmap\\?replica=${uuid(1)}&instance=[\\w-]{16}$`),
    authorization: 'Bearer credential-of-a-replica',
    lastEventId: undefined,
  });
  edge.send('netmap', netmap({ revision: 5 }), 'e.5');
  edge.send('delta', { format: 1, revision: 6 }, 'e.6');
  await until(() => events.length === 2);
  expect(events.map(({ kind }) => kind)).toEqual(['netmap', 'delta']);
  const again = edge.next();
  for (const response of edge.streams) response.destroy();
  const resumed = await again;
  expect(resumed.lastEventId).toBe('e.6');
  expect(resumed.path).toBe(edge.asked[0]!.path);
  expect(states.at(-1)?.state === 'open' || states.at(-2)?.state === 'open').toBe(true);
});

test('what does not validate is not handed on, and a whole netmap is asked for', async () => {
  const first = edge.next();
  open();
  await first;
  edge.send('netmap', netmap({ revision: 5 }), 5);
  await until(() => events.length === 1);
  const again = edge.next();
  edge.send('delta', { format: 1, revision: 'six' }, 6);
  expect((await again).lastEventId).toBeUndefined();
  expect(events).toHaveLength(1);
  expect(states.some((state) => 'error' in state && state.error?.code === 'NETMAP_INVALID')).toBe(
    true,
  );
});

test('what cannot be applied is asked for as a whole', async () => {
  known = 'e.4';
  const first = edge.next();
  open();
  expect((await first).lastEventId).toBe('e.4');
  refuse = true;
  const again = edge.next();
  edge.send('delta', { format: 1, revision: 6 }, 6);
  expect((await again).lastEventId).toBeUndefined();
});

test('gone ends it, as an event or as a refusal', async () => {
  const first = edge.next();
  open();
  await first;
  const gone = { code: 'CONNECTOR_GONE', replica: uuid(1), detail: 'The connector was deleted.' };
  edge.send('gone', gone);
  await until(() => events.length === 1);
  expect(events).toEqual([{ kind: 'gone', gone }]);
  expect(states.at(-1)?.state).toBe('gone');
  await stream?.close();

  edge.answer = (_, response) => problem(response, 410, 'CONNECTOR_GONE', 'It was deleted.');
  events = [];
  open();
  await until(() => events.length === 1);
  expect(events).toMatchObject([{ kind: 'gone', gone: { detail: 'It was deleted.' } }]);
  expect(states.at(-1)?.state).toBe('gone');
});

test.each([
  [401, 'UNAUTHORIZED'],
  [404, 'NOT_FOUND'],
  [410, 'NOT_FOUND'],
  [403, 'CONNECTOR_GONE'],
  [429, 'TOO_MANY_REQUESTS'],
])(
  'a refusal with %i %s ends nothing: what is wrong is said, and it is asked again',
  async (...[status, code]) => {
    edge.answer = (_, response) => problem(response, status, code, 'Because.');
    const first = edge.next();
    open();
    await first;
    await until(() => states.some((state) => 'error' in state));
    expect(states.at(-1)).toMatchObject({
      state: 'connecting',
      error: { code, message: 'Because.' },
    });
    edge.answer = (_, response) => {
      edge.stream(response);
      edge.send('netmap', netmap({ revision: 3 }), 3);
    };
    await until(() => events.length === 1);
    expect(events).toMatchObject([{ kind: 'netmap' }]);
  },
);

test.each([
  ['of another replica', { code: 'CONNECTOR_GONE', replica: uuid(2), detail: 'Deleted.' }],
  ['without a replica', { code: 'CONNECTOR_GONE', detail: 'Deleted.' }],
  ['that says nothing', 'x'],
])('a `gone` %s ends nothing', async (_what, gone) => {
  const first = edge.next();
  open();
  await first;
  const again = edge.next();
  edge.send('gone', gone);
  await again;
  expect(events).toEqual([]);
  expect(states.some((state) => state.state === 'gone')).toBe(false);
});

test('an edge that says when to come again is left alone until then', async () => {
  edge.answer = (_, response) => {
    response.setHeader('retry-after', '2');
    problem(response, 429, 'TOO_MANY_REQUESTS', 'later');
  };
  const first = edge.next();
  open();
  await first;
  const refused = performance.now();
  await edge.next();
  // Without it the second attempt comes after half a second at most.
  expect(performance.now() - refused).toBeGreaterThan(1_500);
});

test('an edge in trouble is asked again; one with another key is told nothing', async () => {
  edge.answer = (_, response) => problem(response, 503, 'STORE_LOCKED', 'later');
  const first = edge.next();
  open();
  await first;
  await edge.next();
  expect(events).toEqual([]);
  await stream?.close();

  edge.asked.length = 0;
  states = [];
  open('0'.repeat(64));
  await until(() => states.some((state) => 'error' in state));
  expect(states.at(-1)).toMatchObject({ error: { code: 'EDGE_UNTRUSTED' } });
  expect(edge.asked).toEqual([]);
});

test('another machine with our identity is known for a while, and is no event', async () => {
  const first = edge.next();
  open();
  await first;
  const twins = { replica: uuid(1), addresses: ['192.0.2.1', '198.51.100.7'] };
  edge.send('twins', { ...twins, replica: uuid(2) }, 'e.1');
  edge.send('twins', 'nonsense', 'e.1');
  edge.send('netmap', netmap({ revision: 5 }), 'e.5');
  await until(() => events.length === 1);
  expect(stream!.twins(Date.now())).toBeUndefined();
  edge.send('twins', twins, 'e.5');
  edge.send('delta', { format: 1, revision: 6 }, 'e.6');
  await until(() => events.length === 2);
  expect(stream!.twins(Date.now())).toEqual(twins.addresses);
  expect(stream!.twins(Date.now() + 200_000)).toBeUndefined();
  expect(stream!.refused).toBe(0);
});
