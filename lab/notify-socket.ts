/**
 * A socket as a service manager makes it for NOTIFY_SOCKET: what a daemon says to it, datagram by
 * datagram. Node has no such socket, perl is on every Debian system.
 */
import { spawn } from 'node:child_process';
import { Process } from './process.ts';

const RECEIVER = `
use Socket; $| = 1;
my $address = $ARGV[0]; $address =~ s/^@/\\0/;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($socket, pack_sockaddr_un($address)) or die $!;
print "listening\\n";
while (defined recv($socket, my $text, 65536, 0)) { print "$_\\n" for split /\\n/, $text }`;

export class NotifySocket implements AsyncDisposable {
  /** What NOTIFY_SOCKET is to be: a path, or `@` and an abstract name. */
  readonly address: string;
  readonly process: Process;

  private constructor(address: string, process: Process) {
    this.address = address;
    this.process = process;
  }

  static async open(address: string): Promise<NotifySocket> {
    const child = spawn('perl', ['-e', RECEIVER, address], { stdio: ['ignore', 'pipe', 'pipe'] });
    const process = new Process(child, 'notify socket');
    await process.line(/^listening$/);
    return new NotifySocket(address, process);
  }

  /** Assignments so far, as `READY=1`. */
  get said(): readonly string[] {
    return this.process.lines.slice(1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }
}
