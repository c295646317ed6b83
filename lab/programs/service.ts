/**
 * Runs inside a namespace: `node service.ts PORT`. A TCP and a UDP service on all addresses that tell
 * a client the source address they saw it under, and move bytes for it.
 *
 * TCP, first line of the client:  who        answer one line of JSON, close
 *                                 echo       that line, then every byte comes back
 *                                 sink N     that line, then "done" after N bytes
 * UDP:                            who        answer one line of JSON
 *                                 any other  comes back as it is
 */
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';

const port = Number(process.argv[2]);

function seen(address = '', from = 0): string {
  return `${JSON.stringify({ from: address.replace(/^::ffff:/, ''), port: from })}\n`;
}

function serve(socket: Socket, request: string, rest: Buffer): void {
  const [verb, amount] = request.split(' ');
  socket.write(seen(socket.remoteAddress, socket.remotePort));
  if (verb === 'echo') {
    socket.write(rest);
    socket.pipe(socket);
  } else if (verb === 'sink') {
    let left = Number(amount) - rest.length;
    socket.on('data', (bytes) => {
      left -= bytes.length;
      if (left <= 0) socket.end('done\n');
    });
  } else {
    socket.end();
  }
}

const tcp = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  let head: Buffer = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', function read(bytes: Buffer) {
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf('\n');
    if (end < 0) return;
    socket.off('data', read);
    serve(socket, head.toString('latin1', 0, end), head.subarray(end + 1));
  });
});

const udp = createSocket({ type: 'udp6', recvBufferSize: 1 << 20 });
udp.on('message', (bytes, { address, port: from }) => {
  udp.send(bytes.toString('latin1') === 'who' ? seen(address, from) : bytes, from, address);
});
udp.bind(port, '::', () => {
  tcp.listen(port, '::', () => process.stdout.write('ready\n'));
});
