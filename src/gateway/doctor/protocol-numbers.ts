/** IP protocols as rules of packet filters name them (/etc/protocols). */
const NUMBERS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
};

/** By name or number; undefined if it is neither. */
export function protocolNumber(text: string): number | undefined {
  return NUMBERS[text] ?? (/^\d+$/.test(text) ? Number(text) : undefined);
}
