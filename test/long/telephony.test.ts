/**
 * A telephone system and its telephones at two sites (lab/mesh-lab.ts), played by sipp: the case for
 * which site-to-site links without address translation are bought. SIP carries addresses in its
 * messages, and the server calls the client at the address that it registered from.
 *
 *   telephone ── gateway a ── nat ── internet ── nat ── gateway b ── telephone system
 *   10.1.0.10                           │                              10.2.0.10
 *                                     edge
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Sources } from '../../lab/applications.ts';
import { MeshLab, type Site } from '../../lab/mesh-lab.ts';
import type { Namespace } from '../../lab/namespace.ts';
import { reach } from '../../lab/ping.ts';
import type { Process } from '../../lab/process.ts';
import { netnsSuite } from '../netns/suite.ts';

const PORT = 5060;

/** `REGISTER`, with the address of the telephone in `Contact`, until the system has taken it. */
const REGISTER = `<?xml version="1.0"?>
<scenario name="register">
  <send retrans="500"><![CDATA[
    REGISTER sip:[remote_ip] SIP/2.0
    Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
    From: <sip:telephone@[remote_ip]>;tag=[call_number]
    To: <sip:telephone@[remote_ip]>
    Call-ID: [call_id]
    CSeq: 1 REGISTER
    Contact: <sip:telephone@[local_ip]:[local_port]>
    Max-Forwards: 70
    Content-Length: 0
  ]]></send>
  <recv response="200"/>
</scenario>
`;

const REGISTRAR = `<?xml version="1.0"?>
<scenario name="registrar">
  <recv request="REGISTER"/>
  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:];tag=[call_number]
    [last_Call-ID:]
    [last_CSeq:]
    [last_Contact:]
    Content-Length: 0
  ]]></send>
</scenario>
`;

interface Call {
  readonly process: Process;
  /** Every message that it sent and received. */
  trace(): string;
}

let serial = 0;

/** Plays one call, or waits for one, and ends with 0 if it was as it should be. */
function sipp(host: Namespace, own: string, ...args: string[]): Call {
  const trace = join(host.folder, `messages-${++serial}.log`);
  const process = host.start([
    ...['sipp', '-i', own, '-p', `${PORT}`, '-t', 'u1', '-m', '1', '-nostdin'],
    ...['-trace_msg', '-message_file', trace, '-timeout', '30', '-timeout_error', ...args],
  ]);
  return { process, trace: () => readFileSync(trace, 'utf8') };
}

/** Waits until sipp has its socket. */
async function isBound(host: Namespace): Promise<void> {
  const deadline = performance.now() + 10_000;
  while ((await host.run(['ss', '-Huln', 'sport', '=', `:${PORT}`])) === '') {
    if (performance.now() > deadline) throw new Error(`${host.label}: sipp has no socket`);
  }
}

async function ends(...calls: Call[]): Promise<void> {
  for (const { process } of calls) {
    const code = await process.exited;
    if (code !== 0) throw new Error(`sipp ended with ${code}:\n${process.lines.join('\n')}`);
  }
}

/** What one side received, cut out of its trace. */
function received(call: Call): string[] {
  return call
    .trace()
    .split(/^-{20,}.*$/m)
    .filter((part) => /message received/.test(part));
}

netnsSuite('telephony across two sites', ['nft', 'sipp', 'ss'], () => {
  test('registered, called by the system, and calling it', { timeout: 300_000 }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    await mesh.startEdge();
    await mesh.joinAll();
    const [a, b] = mesh.sites as [Site, Site];
    const [telephone, system] = [a.address[4], b.address[4]];
    await reach(a.host, system);
    const atSystem = await Sources.watch(b.host, 'udp', PORT);
    const atTelephone = await Sources.watch(a.host, 'udp', PORT);

    const registrar = sipp(b.host, system, '-sf', b.host.file('registrar.xml', REGISTRAR));
    await isBound(b.host);
    const register = a.host.file('register.xml', REGISTER);
    await ends(sipp(a.host, telephone, '-sf', register, `${system}:${PORT}`), registrar);
    const contact = /^Contact: <sip:telephone@([\d.]+:\d+)>/m.exec(received(registrar)[0]!);
    expect(contact?.[1]).toBe(`${telephone}:${PORT}`);

    // The system calls where the telephone said it is.
    const ringing = sipp(a.host, telephone, '-sn', 'uas');
    await isBound(a.host);
    const outgoing = sipp(b.host, system, '-sn', 'uac', '-d', '200', contact![1]!);
    await ends(ringing, outgoing);
    const invite = received(ringing).find((text) => text.includes('INVITE sip:'))!;
    expect(invite).toMatch(new RegExp(`^Via: SIP/2.0/UDP ${system}:${PORT};`, 'm'));
    expect(invite).toMatch(new RegExp(`^c=IN IP4 ${system}\\s*$`, 'm'));
    expect(received(outgoing).join()).toMatch(/SIP\/2\.0 180[\s\S]*SIP\/2\.0 200/);
    expect(await atTelephone.seen()).toEqual([system]);

    // And the telephone calls the system.
    const answering = sipp(b.host, system, '-sn', 'uas');
    await isBound(b.host);
    await ends(sipp(a.host, telephone, '-sn', 'uac', '-d', '200', `${system}:${PORT}`), answering);
    const call = received(answering).find((text) => text.includes('INVITE sip:'))!;
    expect(call).toMatch(new RegExp(`^Via: SIP/2.0/UDP ${telephone}:${PORT};`, 'm'));
    expect(call).toMatch(new RegExp(`^c=IN IP4 ${telephone}\\s*$`, 'm'));
    expect(received(answering).some((text) => text.includes('BYE sip:'))).toBe(true);
    expect(await atSystem.seen()).toEqual([telephone]);
  });
});
