/**
 * npm run demo: two sites, a connector on each gateway, traffic both ways, and for each kind of it
 * the source address that the far side saw. Exits non-zero if anything fails; leaves nothing.
 */
import { missing } from '../lab/implementation.ts';
import { startService } from '../lab/service.ts';
import { check, SERVICE_PORT } from './checks.ts';
import { CONNECTOR, crossed, type Site, TwoSites } from './two-sites.ts';

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

function rule(): string {
  return '─'.repeat(79);
}

/** What the tunnel left in a gateway's network stack after it was taken down. */
async function remains(site: Site): Promise<string[]> {
  const links = await site.gateway.run(['ip', '-o', 'link']);
  const rules = await site.gateway.run(['ip', 'rule']);
  const routes = await site.gateway.run(['ip', 'route', 'show', 'table', 'all']);
  const tables = await site.gateway.run(['nft', 'list', 'tables']);
  const found: string[] = [];
  if (/: site:/.test(links)) found.push('the interface');
  if (rules.trim().split('\n').length !== 3) found.push('a rule');
  if (/ dev site /.test(routes)) found.push('a route');
  if (tables.trim() !== '') found.push('a firewall table');
  return found;
}

async function demo(): Promise<boolean> {
  say('Two sites, a connector on each gateway, an internet between that knows neither.');
  say();
  say('   10.1.0.10                                                     10.2.0.10');
  say('   fd01::10                                                       fd02::10');
  say('    host A ─── gateway A ═════════ internet ═════════ gateway B ─── host B');
  say('              198.51.100.2                           203.0.113.2');
  say();
  await using sites = await TwoSites.open();
  const both = [sites.a, sites.b] as const;
  const services = both.map((site) => startService(site.host, SERVICE_PORT));
  await Promise.all(services);
  const started = performance.now();
  await Promise.all(both.map((site) => site.gateway.run([CONNECTOR, 'tunnel', 'up', site.file])));
  say(
    `connector tunnel up site.conf  on both gateways: ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
  say();
  say(row(['from, to', 'IP', 'sent', 'source seen there', 'RTT or rate']));
  say(rule());
  let failed = 0;
  for (const [from, to] of [
    [sites.a, sites.b],
    [sites.b, sites.a],
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
  say(rule());
  const { sealed, other } = await crossed(sites.internet);
  say(`The internet saw ${sealed} packets of WireGuard and ${other} of anything else.`);
  for (const site of both) await site.gateway.run([CONNECTOR, 'tunnel', 'down', site.file]);
  const left = (await Promise.all(both.map(remains))).flat();
  say(`connector tunnel down site.conf  left ${left.join(', ') || 'nothing'} behind.`);
  const passed = failed === 0 && other === 0 && left.length === 0;
  say();
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
