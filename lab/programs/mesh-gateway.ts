/**
 * Runs inside a namespace: `mesh-gateway.ts IFNAME [noble|openssl]`, the data plane of a gateway
 * without its control plane. Prints `ready`.
 *
 * Lines of stdin:  apply JSON   a DeviceChange, bytes as {"bytes": BASE64}; answers `done`
 *                  snapshot     answers one line of JSON
 */
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { openTunnel } from '../../src/gateway/open-tunnel.ts';
import { keyToBase64 } from '../../src/keys.ts';
import type { DeviceChange } from '../../src/wireguard/configuration.ts';
import { formatEndpoint } from '../../src/wireguard/endpoint-record.ts';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const tunnel = await openTunnel({
  interfaceName: process.argv[2]!,
  mtu: 1420,
  crypto: (process.argv[3] ?? 'auto') as 'auto',
  log: pino({ level: process.env.LOG_LEVEL ?? 'warn' }, pino.destination({ dest: 2, sync: true })),
});

function decode(text: string): DeviceChange {
  return JSON.parse(text, (_, value) => {
    return typeof value?.bytes === 'string'
      ? new Uint8Array(Buffer.from(value.bytes, 'base64'))
      : value;
  });
}

function snapshot(): string {
  const { peers, drops, listenPort } = tunnel.snapshot();
  return JSON.stringify({
    listenPort,
    drops: Object.fromEntries(drops),
    peers: peers.map(({ publicKey, endpoint, lastHandshake, rxBytes, txBytes }) => ({
      publicKey: keyToBase64(publicKey),
      endpoint: endpoint && formatEndpoint(endpoint),
      relayId: endpoint?.relayId ?? 0,
      lastHandshake,
      rxBytes,
      txBytes,
    })),
  });
}

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'snapshot') say(snapshot());
  else if (line.startsWith('apply ')) {
    tunnel.apply(decode(line.slice(6))).then(
      () => say('done'),
      (error) => say(`refused ${error}`),
    );
  }
});
process.on('SIGTERM', () => {
  void tunnel.close().then(() => process.exit(0));
});
say('ready');
