/**
 * npm run demo: an edge on the internet, and sites whose gateways sit behind NATs that admit nothing
 * from outside. Each gateway joins with one command and a token; traffic flows both ways through the
 * edge, and for each kind of it the source address that the far side saw is shown. A third site in
 * another virtual network, with the same addresses as the second, stays unreachable. Exits non-zero if
 * anything fails; leaves nothing.
 */
import { missing } from '../lab/implementation.ts';
import { CONNECTOR, MeshLab, type Site } from '../lab/mesh-lab.ts';
import { isSilent } from '../lab/ping.ts';
import { pingedBy, watchPings } from '../lab/seen.ts';
import { startService } from '../lab/service.ts';
import { check, SERVICE_PORT } from './checks.ts';
import { crossed, remains, watchInternet } from './evidence.ts';

const WIDTHS = [17, 6, 15, 20, 13] as const;

function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0))
    .join(' ')
    .trimEnd();
}

const RULE = '─'.repeat(79);

const DRAWING = `Three sites and an edge. Every gateway is behind a NAT that lets nothing in.

                              edge 203.0.113.10
                                      │
      ┌─────────────── internet ──────┴────┬──────────────────────┐
     NAT                                  NAT                    NAT
  gateway a                            gateway b              gateway c
   host a  10.1.0.10                    host b  10.2.0.10      host c  10.2.0.10
           fd01::10                             fd02::10               fd02::10
   └───────── virtual network "default" ──────────────┘        └──── "other" ──┘`;

/** Runs a step and says how long it took. */
async function step(what: string, run: () => Promise<unknown>): Promise<void> {
  const started = performance.now();
  await run();
  say(`${what.padEnd(71)} ${((performance.now() - started) / 1_000).toFixed(1)} s`);
}

async function setUp(mesh: MeshLab): Promise<void> {
  const [a, b, c] = mesh.sites as [Site, Site, Site];
  await step('edge     $ connector edge run --public 203.0.113.10', () => mesh.startEdge());
  await mesh.connector('vnets', 'add', 'other');
  for (const site of [a, b, c]) {
    const other = site === c ? ['--vnet', 'other'] : [];
    const routes = site.prefixes.map((prefix) => `--route ${prefix}`).join(' ');
    const shown = site === c ? `--vnet other --route …` : routes;
    let token = '';
    await step(`edge     $ connector create ${site.name} ${shown}`, async () => {
      token = await mesh.create(site, ...other);
    });
    await step(`gateway  $ connector up --token ${token.slice(0, 12)}…`, () =>
      site.up('--token', token),
    );
  }
}

/** All kinds of traffic between two sites; how many of them failed. */
async function exchange(a: Site, b: Site): Promise<number> {
  let failed = 0;
  say(row(['from, to', 'IP', 'sent', 'source seen there', 'RTT or rate']));
  say(RULE);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const family of [4, 6] as const) {
      for await (const { sent, seen, figure, passed } of check(from, to, family)) {
        const direction = `host ${from.name} → host ${to.name}`;
        const source = seen.join(' ') || 'none';
        say(row([direction, `IPv${family}`, sent, source, figure]) + (passed ? '' : '  FAILED'));
        if (!passed) failed += 1;
      }
    }
  }
  return failed;
}

/** The third site reaches nobody, and nobody reaches it; how many of these failed. */
async function isolation(a: Site, c: Site): Promise<number> {
  let failed = 0;
  for (const [from, to, address] of [
    [c, a, a.address[4]],
    [c, a, a.address[6]],
  ] as const) {
    const silent = await isSilent(from.host, address);
    const family = address.includes(':') ? 'IPv6' : 'IPv4';
    const cells = [`host ${from.name} → host ${to.name}`, family, '5 pings', 'none', 'unreachable'];
    say(row(silent ? cells : [...cells.slice(0, 4), 'ANSWERED']));
    if (!silent) failed += 1;
  }
  const seen = [...(await pingedBy(c.host, 4)), ...(await pingedBy(c.host, 6))];
  say(RULE);
  say(`Host c, whose addresses are those of host b, was pinged by ${seen.join(' ') || 'nobody'}.`);
  return failed + seen.length;
}

async function demo(): Promise<boolean> {
  say(DRAWING);
  say();
  await using mesh = await MeshLab.open(
    { name: 'a', number: 1 },
    { name: 'b', number: 2 },
    { name: 'c', number: 3, lan: 2 },
  );
  const [a, b, c] = mesh.sites as [Site, Site, Site];
  await watchInternet(mesh.internet);
  await Promise.all(mesh.sites.map(({ host }) => watchPings(host)));
  await Promise.all([a, b].map(({ host }) => startService(host, SERVICE_PORT)));
  await setUp(mesh);
  say();
  let failed = await exchange(a, b);
  failed += await isolation(a, c);
  const { sealed, api, other } = await crossed(mesh.internet);
  say(
    `The internet saw ${sealed} packets of WireGuard, ${api} of the API, ${other} of anything else.`,
  );
  say();
  say('edge     $ connector routes ls');
  say((await mesh.connector('routes', 'ls')).trimEnd());
  say();
  say('gateway a$ connector status');
  say((await a.gateway.run([CONNECTOR, 'status'])).trimEnd());
  say();
  await Promise.all(mesh.sites.map((site) => site.down()));
  const left = (await Promise.all(mesh.sites.map(({ gateway }) => remains(gateway)))).flat();
  say(`connector down  left ${left.join(', ') || 'nothing'} behind.`);
  const passed = failed === 0 && other === 0 && left.length === 0;
  say(
    passed
      ? 'Every source address is the host’s own. All as it should be.'
      : `FAILED: ${failed} of the rows above${left.length || other ? ', and what is said below them' : ''}.`,
  );
  return passed;
}

const lack = missing('ping', 'nft');
if (lack) {
  process.stderr.write(
    `demo: ${lack}: it builds its sites in network namespaces of this machine\n`,
  );
  process.exitCode = 1;
} else {
  process.exitCode = (await demo()) ? 0 : 1;
}
