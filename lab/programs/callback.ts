/**
 * Runs inside a namespace: a UDP service that calls its clients, as a SIP server does.
 *
 *   callback.ts serve PORT         remembers where the last client was heard; each line of stdin is
 *                                  sent there from the same port
 *   callback.ts register HOST PORT registers once, then prints `FROM TEXT` for all that comes
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const [mode, ...args] = process.argv.slice(2);
const socket = createSocket('udp4');

if (mode === 'serve') {
  let client: { readonly address: string; readonly port: number } | undefined;
  socket.on('message', (_, from) => {
    client = from;
    socket.send('registered', from.port, from.address);
    process.stdout.write(`client ${from.address}\n`);
  });
  createInterface({ input: process.stdin }).on('line', (line) => {
    if (client !== undefined) socket.send(line, client.port, client.address);
  });
  socket.bind(Number(args[0]), () => process.stdout.write('ready\n'));
} else {
  socket.on('message', (bytes, from) => process.stdout.write(`${from.address} ${bytes}\n`));
  socket.send('register', Number(args[1]), args[0]);
}
