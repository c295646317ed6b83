import { describe, expect, it } from 'vitest';
import { RoundTrip } from '../../../src/wireguard/round-trip.ts';

describe('RoundTrip', () => {
  it('follows the formulas of RFC 6298', () => {
    const trip = new RoundTrip();
    expect(trip.smoothed).toBe(0);
    expect(trip.wait).toBe(1_000);
    trip.add(400);
    // § 2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 RTTVAR.
    expect(trip.smoothed).toBe(400);
    expect(trip.wait).toBe(400 + 4 * 200);
    trip.add(480);
    // § 2.3: RTTVAR = 3/4 * 200 + 1/4 * 80 = 170, SRTT = 7/8 * 400 + 1/8 * 480 = 410.
    expect(trip.smoothed).toBe(410);
    expect(trip.wait).toBe(410 + 4 * 170);
  });

  it('waits neither too short nor too long', () => {
    const trip = new RoundTrip();
    trip.add(0);
    expect(trip.smoothed).toBeGreaterThan(0);
    expect(trip.wait).toBe(100);
    trip.add(60_000);
    expect(trip.wait).toBe(3_000);
    trip.clear();
    expect(trip.smoothed).toBe(0);
  });
});
