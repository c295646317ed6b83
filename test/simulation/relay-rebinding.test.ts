/**
 * A NAT before a gateway forgets its mapping: from then on everything leaves from another address, and
 * nothing that is sent to the old one arrives. The gateway cannot see it; it must notice the silence.
 */
import { describe, expect, it } from 'vitest';
import { EDGE, IP_A, IP_B, MOVED, mesh, SECOND } from './relay-world.ts';
import { idOf, type Node, packet, recordOf } from './world.ts';

/** Milliseconds between two packets of a flow. */
const INTERVAL = 50;

type Mesh = ReturnType<typeof mesh>;

/** Packets one way, each answered or not, for some milliseconds. */
interface Flow {
  readonly from: 'a' | 'b';
  readonly answered: boolean;
}

let id = 1;

function run({ world, a, b }: Mesh, { from, answered }: Flow, duration: number): void {
  const [sender, receiver] = from === 'a' ? [a, b] : [b, a];
  const [ip, other] = from === 'a' ? [IP_A, IP_B] : [IP_B, IP_A];
  for (let passed = 0; passed < duration; passed += INTERVAL) {
    const before = receiver.received.length;
    sender.send(packet(ip, other, id++));
    world.run(INTERVAL / 2);
    if (answered) {
      for (const got of receiver.received.slice(before)) {
        receiver.send(packet(other, ip, idOf(got.packet)));
      }
    }
    world.run(INTERVAL / 2);
  }
}

/** The longest time in ms without a packet received, from `start` to `end`. */
function longestGap(node: Node, start: number, end: number): number {
  const times = node.received.map(({ at }) => at).filter((at) => at >= start && at <= end);
  const edges = [start, ...times, end];
  return Math.max(...edges.slice(1).map((at, i) => at - edges[i]!));
}

/** Keepalives of `node` to the edge itself between two times. */
function countKeepalives(mesh: Mesh, during: () => void): number {
  let count = 0;
  const edge = recordOf(EDGE);
  const from = recordOf(mesh.a.address);
  mesh.world.tap = ({ from: source, to, bytes }) => {
    const own = source[0] === from[0] && to[0] === edge[0] && to[1] === edge[1] && to[11] === 0;
    if (own && bytes[0] === 4 && bytes.length === 32) count++;
    return true;
  };
  during();
  mesh.world.tap = () => true;
  return count;
}

describe('a NAT that forgets the mapping of a gateway with traffic', () => {
  const flows: [string, Flow][] = [
    ['that asks and is answered', { from: 'a', answered: true }],
    ['that is asked and answers', { from: 'b', answered: true }],
    ['that only sends', { from: 'a', answered: false }],
    ['that only receives', { from: 'b', answered: false }],
  ];
  it.each(flows)('costs one %s at most 2 s', (_, flow) => {
    const lab = mesh();
    run(lab, flow, 3 * SECOND);
    lab.a.address = MOVED;
    const start = lab.world.now.monotonic;
    run(lab, flow, 25 * SECOND);
    const receiver = flow.from === 'a' ? lab.b : lab.a;
    expect(longestGap(receiver, start, lab.world.now.monotonic)).toBeLessThan(2 * SECOND);
    expect(lab.edge.core.relayIdOf(recordOf(MOVED), 0)).toBe(1);
  });

  it('is noticed although the first keepalives are lost', () => {
    const lab = mesh();
    const flow = { from: 'b', answered: true } as const;
    run(lab, flow, 3 * SECOND);
    lab.a.address = MOVED;
    lab.world.tap = ({ from }) => from[0] !== recordOf(MOVED)[0];
    run(lab, flow, 5 * SECOND);
    lab.world.tap = () => true;
    const start = lab.world.now.monotonic;
    run(lab, flow, 10 * SECOND);
    expect(longestGap(lab.a, start, lab.world.now.monotonic)).toBeLessThan(5 * SECOND);
  });

  it('does not keep a new session waiting', () => {
    const lab = mesh();
    // Long enough ago that nobody is probing any more, and the sessions are gone.
    run(lab, { from: 'a', answered: true }, SECOND);
    lab.world.run(600 * SECOND);
    lab.a.address = MOVED;
    const before = lab.b.received.length;
    lab.a.send(packet(IP_A, IP_B, id++));
    lab.world.run(SECOND);
    expect(lab.b.received.length).toBe(before + 1);
  });
});

describe('a gateway behind a relay', () => {
  it('sends no more keepalives than before while packets come and go', () => {
    const lab = mesh();
    run(lab, { from: 'a', answered: true }, SECOND);
    const count = countKeepalives(lab, () => run(lab, { from: 'a', answered: true }, 60 * SECOND));
    expect(count).toBeLessThanOrEqual(3);
  });

  it('probes less and less when the traffic ends, then only keeps the mapping', () => {
    const lab = mesh();
    run(lab, { from: 'a', answered: true }, SECOND);
    // Twice four: after 10 s WireGuard answers what came last, which is traffic too.
    expect(countKeepalives(lab, () => lab.world.run(30 * SECOND))).toBeLessThanOrEqual(8);
    expect(countKeepalives(lab, () => lab.world.run(200 * SECOND))).toBeLessThanOrEqual(11);
  });

  it('tells the edge once a second at most while nobody answers', () => {
    const lab = mesh();
    run(lab, { from: 'a', answered: true }, SECOND);
    lab.b.down();
    const count = countKeepalives(lab, () => run(lab, { from: 'a', answered: true }, 10 * SECOND));
    expect(count).toBeLessThanOrEqual(10);
  });
});
