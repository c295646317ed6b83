/**
 * Runs inside a namespace: `relay.ts OPTIONS`, the relay of an edge without its API. OPTIONS is JSON:
 * port, privateKey (base64), bindingsFile, replicas. Prints `ready`, then a line for every binding:
 * `bound RELAY-ID ENDPOINT` or `unbound RELAY-ID ENDPOINT`.
 *
 * Lines of stdin:  replicas JSON   changes of replicas; answers `done`
 *                  statistics      answers one line of JSON
 */
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { openRelay, type RelayReplicaChange } from '../../src/edge/relay/relay-process.ts';
import { keyFromBase64 } from '../../src/keys.ts';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

type Encoded<T> = T extends { publicKey: Uint8Array }
  ? Omit<T, 'publicKey'> & { publicKey: string }
  : T;

function decode(replica: Encoded<RelayReplicaChange>): RelayReplicaChange {
  if (replica.remove) return replica;
  return { ...replica, publicKey: keyFromBase64(replica.publicKey)! };
}

const options = JSON.parse(process.argv[2]!);
const relay = await openRelay({
  ...options,
  privateKey: keyFromBase64(options.privateKey),
  replicas: options.replicas.map(decode),
  log: pino({ level: 'info' }, pino.destination({ dest: 2, sync: true })),
});
relay.onBinding((relayId, bound, _at, endpoint) => {
  say(`${bound ? 'bound' : 'unbound'} ${relayId} ${endpoint}`);
});
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'statistics') {
    say(JSON.stringify({ ...relay.statistics(), bindings: relay.bindings() }));
  } else if (line.startsWith('replicas ')) {
    const changes = (JSON.parse(line.slice(9)) as Encoded<RelayReplicaChange>[]).map(decode);
    void relay.setReplicas(changes).then(() => say('done'));
  }
});
process.on('SIGTERM', () => {
  void relay.close().then(() => process.exit(0));
});
say('ready');
