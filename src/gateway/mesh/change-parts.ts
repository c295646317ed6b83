/**
 * A change of the data plane in parts that it applies one by one, packets between them: 100,000 allowed
 * IPs at once would stop it for a tenth of a second. Each peer's records stay in their order. Pure.
 */
import {
  ALLOWED_IP_RECORD,
  type DeviceChange,
  type PeerChange,
} from '../../wireguard/configuration.ts';

/** Records of one part: some two milliseconds' work. */
export const MOST_RECORDS = 2_048;

export function changeParts(change: DeviceChange): DeviceChange[] {
  const { peers, destinations, ...others } = change;
  const [first, ...rest] = peerParts(peers);
  // No peer is heard before it is known what its packets may be for.
  return [
    ...destinationParts(destinations),
    { ...others, peers: first! },
    ...rest.map((some) => ({ peers: some })),
  ];
}

function destinationParts(records: Uint8Array | undefined): DeviceChange[] {
  if (records === undefined) return [];
  const size = MOST_RECORDS * ALLOWED_IP_RECORD;
  const count = Math.max(1, Math.ceil(records.length / size));
  return Array.from({ length: count }, (_, i) => {
    return { destinations: records.slice(i * size, (i + 1) * size), peers: [] };
  });
}

function peerParts(peers: readonly PeerChange[]): PeerChange[][] {
  const parts: PeerChange[][] = [[]];
  let room = MOST_RECORDS;
  for (const peer of peers) {
    const records = peer.allowedIps ?? new Uint8Array();
    let at = 0;
    do {
      if (room === 0) {
        parts.push([]);
        room = MOST_RECORDS;
      }
      const end = Math.min(records.length, at + room * ALLOWED_IP_RECORD);
      const some = records.length === 0 ? {} : { allowedIps: records.slice(at, end) };
      const { publicKey } = peer;
      parts
        .at(-1)!
        .push(at === 0 ? { ...peer, ...some } : { publicKey, updateOnly: true, ...some });
      room -= Math.max(1, (end - at) / ALLOWED_IP_RECORD);
      at = end;
    } while (at < records.length);
  }
  return parts;
}
