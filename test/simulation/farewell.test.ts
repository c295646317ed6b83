/**
 * A gateway that ends on purpose says so to its edge inside their session. The run that follows has a
 * session of its own, which a late farewell of the one before must not end.
 */
import { describe, expect, it } from 'vitest';
import { A, B, configure, EDGE, IP_A, IP_B, ids, mesh, pass, SECOND } from './relay-world.ts';
import { type Datagram, type Node, packet, recordOf } from './world.ts';

const FAREWELL_SIZE = 48;

type Mesh = ReturnType<typeof mesh>;

/** As the data plane's worker ends. */
function end(node: Node): void {
  node.device.bidFarewell();
  node.flush();
  node.down();
}

function isFarewell({ to, bytes }: Datagram): boolean {
  return to[1] === recordOf(EDGE)[1] && bytes[0] === 4 && bytes.length === FAREWELL_SIZE;
}

/** Ends A but keeps its farewells back, then starts another run of it with the same key and address. */
function restartWithLateFarewell({ world, edge, a, b }: Mesh): [Node, Datagram[]] {
  const late: Datagram[] = [];
  world.tap = (datagram) => !(isFarewell(datagram) && late.push(datagram) > 0);
  end(a);
  world.tap = () => true;
  world.nodes.splice(world.nodes.indexOf(a), 1);
  const again = world.node({ address: A });
  again.device.configure({ privateKey: a.privateKey, peers: [] }, world.now);
  configure(again, edge.node, b, 2, IP_B);
  again.up();
  return [again, late];
}

function exchange({ world, b }: Mesh, a: Node): void {
  a.send(packet(IP_A, IP_B, 1));
  world.run(SECOND);
  b.send(packet(IP_B, IP_A, 2));
  world.run(SECOND);
  expect([ids(b).at(-1), ids(a).at(-1)]).toEqual([1, 2]);
}

describe('a farewell', () => {
  it('ends the binding at once, once, and nothing is sent to who has left', () => {
    const { world, edge, a } = mesh();
    end(a);
    world.run(10);
    expect([edge.left, edge.core.isBound(1), edge.core.isBound(2)]).toEqual([[1], false, true]);
    world.run(10);
    const before = edge.node.sent.length;
    world.tap = ({ to }) => {
      expect(to[1]).not.toBe(recordOf(A)[1]);
      return true;
    };
    expect(pass(world, edge, 300)).toEqual([]);
    expect(edge.left).toEqual([1]);
    expect(edge.node.sent.length).toBeGreaterThan(before); // B is answered
  });

  it('is said to edges only, and not by one without a session', () => {
    const lab = mesh();
    exchange(lab, lab.a);
    const sent: Datagram[] = [];
    lab.world.tap = (datagram) => sent.push(datagram) > 0;
    end(lab.a);
    expect(sent.map(isFarewell)).toEqual([true, true, true]);
    sent.length = 0;
    end(lab.a);
    expect(sent).toEqual([]);
  });

  it('may be lost but for one copy', () => {
    const { world, edge, a } = mesh();
    let lost = 0;
    world.tap = (datagram) => !isFarewell(datagram) || ++lost > 2;
    end(a);
    world.run(10);
    expect(edge.left).toEqual([1]);
  });

  it('does not outlive its session: data of it that comes later binds nobody', () => {
    const { world, edge, a } = mesh();
    const late: Datagram[] = [];
    world.tap = (datagram) => !(datagram.to[1] === recordOf(EDGE)[1] && late.push(datagram) > 0);
    a.device.sendKeepalives(world.now);
    a.flush();
    world.tap = () => true;
    end(a);
    world.run(10);
    expect(late).toHaveLength(1);
    for (const datagram of late) world.inject(datagram);
    world.run(SECOND);
    expect(edge.core.isBound(1)).toBe(false);
    expect(edge.node.drops.get('in_unknown_index')).toBeGreaterThan(0);
  });

  it('counts a few times at once, then once in a while: who comes and goes without end moves nothing by it', () => {
    const { world, edge, a } = mesh();
    for (let i = 0; i < 100; i++) {
      end(a);
      world.run(40);
      expect(edge.core.isBound(1)).toBe(i >= 4);
      a.up();
      world.run(40);
      expect(edge.core.isBound(1)).toBe(true);
    }
    expect(edge.left).toHaveLength(4);
    pass(world, edge, 10);
    for (const isBound of [false, true]) {
      end(a);
      world.run(40);
      expect(edge.core.isBound(1)).toBe(isBound);
      a.up();
      world.run(40);
    }
  });

  it('ends the session before its own as well, whose data may come in the same vector', () => {
    const { world, edge, a } = mesh();
    const kept: Datagram[] = [];
    world.tap = (datagram) => !(datagram.to[1] === recordOf(EDGE)[1] && kept.push(datagram) > 0);
    a.device.sendKeepalives(world.now);
    a.flush();
    world.tap = () => true;
    const { publicKey } = edge.node;
    const again = { publicKey, updateOnly: true, rehandshake: true };
    a.device.configure({ peers: [again] }, world.now);
    a.flush();
    world.run(SECOND);
    world.tap = (datagram) => !(isFarewell(datagram) && kept.push(datagram) > 0);
    end(a);
    const [old, ...farewells] = kept.map(({ bytes }) => bytes);
    expect(farewells).toHaveLength(3);
    edge.node.receive(recordOf(A), ...farewells, old!);
    expect([edge.left, edge.core.isBound(1)]).toEqual([[1], false]);
  });

  it('of the run before does not end the binding of the next, when that is bound', () => {
    const lab = mesh();
    const [again, late] = restartWithLateFarewell(lab);
    lab.world.run(SECOND);
    for (const datagram of late) lab.world.inject(datagram);
    lab.world.run(SECOND);
    expect([lab.edge.left, lab.edge.core.isBound(1)]).toEqual([[], true]);
    exchange(lab, again);
  });

  it("of the run before that comes amid the next one's handshake leaves that its session", () => {
    const lab = mesh();
    const { world, edge } = lab;
    const [again, late] = restartWithLateFarewell(lab);
    // The edge has answered; what confirms that is on its way.
    world.run(12);
    for (const { from, bytes } of late) edge.node.receive(from, bytes);
    expect([edge.left, edge.core.isBound(1)]).toEqual([[1], false]);
    world.run(SECOND);
    expect(edge.core.isBound(1)).toBe(true);
    expect(again.sent.filter(({ type }) => type === 1)).toHaveLength(1);
    exchange(lab, again);
  });

  it('is of its session alone: a copy from elsewhere ends nothing twice', () => {
    const { world, edge, a, b } = mesh();
    const seen: Datagram[] = [];
    world.tap = (datagram) => {
      if (isFarewell(datagram)) seen.push(datagram);
      return true;
    };
    end(a);
    world.run(10);
    a.up();
    world.run(SECOND);
    expect(edge.core.isBound(1)).toBe(true);
    for (const { to, bytes } of seen) world.inject({ from: recordOf(B), to, bytes });
    world.run(SECOND);
    expect([edge.core.isBound(1), edge.core.isBound(2)]).toEqual([true, true]);
    expect(b.drops.entries()).toEqual([]);
  });
});
