/**
 * Hostile input to the relay: dropped, counted by reason, never answered, and nobody else notices.
 * The attacker has a link of its own to the edge and may pretend to have any address.
 */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { Capture, datagramOf } from '../../lab/capture.ts';
import { connect, type Namespace } from '../../lab/namespace.ts';
import { reach } from '../../lab/ping.ts';
import { Probe } from '../../lab/probe.ts';
import { Attacker, EDGE, MeshGateway, RELAY_PORT, RelayMesh } from '../../lab/relay-mesh.ts';
import { INNER } from '../../lab/tunnel-pair.ts';
import { keyFromBase64 } from '../../src/keys.ts';
import { netnsSuite } from './suite.ts';

/** A message of a type to a relay id, filled with noise. */
function message(type: number, relayId: number, size: number): Uint8Array {
  const bytes = randomBytes(size);
  bytes.set([type, relayId, relayId >> 8, relayId >> 16].slice(0, size));
  return bytes;
}

async function attackerOf(mesh: RelayMesh): Promise<Namespace> {
  const attacker = await mesh.lab.namespace('attacker');
  await connect(
    { namespace: attacker, link: 'eth0', addresses: ['10.9.3.2/24'] },
    { namespace: mesh.edge, link: 'site3', addresses: ['10.9.3.1/24'] },
  );
  await attacker.ip('route add default via 10.9.3.1');
  await mesh.edge.sysctl({ 'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.site3.rp_filter': 0 });
  return attacker;
}

/** What west sends to the edge itself while it shakes hands with it anew. */
async function caughtFromWest(mesh: RelayMesh): Promise<Uint8Array[]> {
  const capture = await Capture.open(mesh.edge, 'site1');
  const { west } = mesh;
  await west.apply({
    peers: [{ publicKey: keyFromBase64(mesh.edgeKeys.publicKey)!, rehandshake: true }],
  });
  await reach(west.namespace, INNER.right);
  const edge = `${EDGE[4]} ${RELAY_PORT}`;
  return (await capture.frames())
    .map(datagramOf)
    .filter((datagram) => datagram?.to === edge)
    .map((datagram) => datagram!.payload)
    .filter((payload) => payload[1] === 0 && payload[2] === 0 && payload[3] === 0);
}

async function boundTo(
  mesh: RelayMesh,
  relayId: number,
): Promise<{ address: string; port: number }> {
  const { bindings } = await mesh.statistics();
  const { endpoint } = bindings.find((binding) => binding.relayId === relayId)!;
  const [address, port] = endpoint.split(':') as [string, string];
  return { address, port: Number(port) };
}

netnsSuite('relay under attack', ['nft', 'tcpdump'], () => {
  test('what is not from a bound address, or makes no sense, goes nowhere', async () => {
    await using mesh = await RelayMesh.open();
    const attacker = await attackerOf(mesh);
    await reach(mesh.west.namespace, INNER.right);
    const before = await mesh.statistics();

    const stranger = await Attacker.start(attacker);
    const { west, east } = mesh;
    expect(await stranger.send([message(4, east.relayId, 96)], 50)).toBe(0);
    expect(await stranger.send([message(1, east.relayId, 148)], 50)).toBe(0);
    expect(await stranger.send([message(5, east.relayId, 96), message(0, 0, 32)], 10)).toBe(0);
    expect(await stranger.send([message(4, 0, 7), message(4, 0, 1)], 10)).toBe(0);
    expect(await stranger.send([message(4, east.relayId, 31), message(2, 0, 93)], 10)).toBe(0);
    expect(await stranger.send([message(1, 0, 148), message(4, 0, 32)], 10)).toBe(0);
    const drops = await mesh.drops();
    expect(drops).toMatchObject({
      relay_unbound_source: 100,
      relay_bad_length: 20,
      in_mac1: 10,
      in_unknown_index: 10,
      relay_unknown_type: 40,
    });
    expect((await mesh.statistics()).forwardedPackets).toBe(before.forwardedPackets);

    // With the address of a gateway it comes through the relay, and no further than that.
    const source = await boundTo(mesh, west.relayId);
    await attacker.ip(`address add ${source.address}/32 dev lo`);
    const forger = await Attacker.start(attacker, source);
    await forger.send([message(4, east.relayId, 96)], 20);
    await forger.send([message(4, 0x123456, 96)], 30);
    await forger.send([message(4, west.relayId, 96)], 40);
    await forger.send([message(1, east.relayId, 148)], 2_000);
    expect((await mesh.drops()).relay_unknown_destination).toBe(30);
    expect((await mesh.drops()).relay_to_itself).toBe(40);
    expect((await mesh.drops()).relay_handshake_rate).toBeGreaterThan(1_000);
    const snapshot = await east.snapshot();
    expect(snapshot.drops.in_unknown_index).toBe(20);
    expect(snapshot.drops.in_mac1).toBeGreaterThan(0);
    expect(await boundTo(mesh, west.relayId)).toEqual(source);
    await reach(west.namespace, INNER.right);
    await reach(east.namespace, INNER.left);
  });

  test('a replica of another virtual network reaches nobody', async () => {
    await using mesh = await RelayMesh.open();
    const attacker = await attackerOf(mesh);
    const rogue = await MeshGateway.start(attacker, 103);
    await mesh.setReplicas([
      { relayId: rogue.relayId, publicKey: rogue.keys.publicKey, vnet: 'other' },
    ]);
    const seen = mesh.relay.nextLine(/^bound 103/);
    await rogue.join(mesh, 4, mesh.east.asPeer(4, [INNER.right]));
    await attacker.ip(`address add ${INNER.left}/24 dev wg0`, 'link set wg0 up');
    await seen;
    const { stdout } = await attacker.attempt(['ping', '-c', '3', '-w', '3', INNER.right]);
    expect(stdout).toMatch(/ 0 received/);
    expect((await mesh.drops()).relay_other_vnet).toBeGreaterThan(0);
    expect(Object.keys((await mesh.east.snapshot()).drops)).not.toContain('in_mac1');
    expect((await mesh.statistics()).pairs.map(({ from, to }) => from + to)).not.toContain(205);

    // Removed while it is bound: unbound at once.
    const gone = mesh.relay.nextLine(/^unbound 103/);
    await mesh.setReplicas([{ relayId: 103, remove: true }]);
    await gone;
    expect((await mesh.statistics()).bound).toBe(2);
  });

  test('a replayed binding binds nothing, also after a restart', async () => {
    await using mesh = await RelayMesh.open();
    const attacker = await attackerOf(mesh);
    const { west } = mesh;
    const caught = await caughtFromWest(mesh);
    const keepalives = caught.length - 1;
    expect(keepalives).toBeGreaterThan(0);
    expect(caught.map((payload) => payload[0])).toEqual([1, ...Array(keepalives).fill(4)]);
    const home = await boundTo(mesh, west.relayId);
    const replayer = await Attacker.start(attacker);
    expect(await replayer.send(caught, 3)).toBe(0);
    expect(await mesh.drops()).toMatchObject({
      in_handshake_replay: 3,
      in_replay: 3 * keepalives,
    });
    expect(await boundTo(mesh, west.relayId)).toEqual(home);

    await mesh.relay.stop();
    await mesh.startRelay();
    await mesh.isBound(west.relayId);
    await replayer.send(caught, 3);
    expect(await boundTo(mesh, west.relayId)).toEqual(home);
    await reach(west.namespace, INNER.right);
  });

  test('who has seen the index of a session has nothing opened that is longer than a keepalive', async () => {
    await using mesh = await RelayMesh.open();
    const attacker = await attackerOf(mesh);
    const keepalive = (await caughtFromWest(mesh)).at(-1)!;
    expect([keepalive[0], keepalive.length]).toEqual([4, 32]);
    const stranger = await Attacker.start(attacker);
    const longer = [33, 49, 1_400].map((size) => {
      const bytes = message(4, 0, size);
      bytes.set(keepalive.subarray(0, 16));
      return bytes;
    });
    expect(await stranger.send(longer, 20)).toBe(0);
    expect(await mesh.drops()).toEqual({ relay_bad_length: 60 });
    expect(await stranger.send([longer[0]!.subarray(0, 32)], 20)).toBe(0);
    expect(await mesh.drops()).toEqual({ relay_bad_length: 60, in_auth: 20 });
    await reach(mesh.west.namespace, INNER.right);
  });

  test('a flood disturbs nobody', async () => {
    await using mesh = await RelayMesh.open();
    const attacker = await attackerOf(mesh);
    const flooder = await Attacker.start(attacker);
    const probe = await Probe.start(mesh.west.namespace, INNER.right);
    const datagrams = Array.from({ length: 64 }, (_, i) => {
      return [message(4, 102, 1_200), message(1, 0, 148), message(4, i, 40), randomBytes(i + 1)];
    }).flat();
    expect(await flooder.send(datagrams, 256)).toBe(0);
    const gap = await probe.longestGap();
    process.stderr.write(`longest gap under a flood: ${gap.toFixed(0)} ms\n`);
    expect(gap).toBeLessThan(3_000);
    const drops = await mesh.drops();
    const total = Object.values(drops).reduce((sum, count) => sum + count, 0);
    expect(total).toBeGreaterThanOrEqual(datagrams.length * 256 * 0.99);
  });
});
