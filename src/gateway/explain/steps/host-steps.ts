/** Whether a gateway's kernel lets a flow through: forwarding, the check of sources, filters of others. Pure. */
import type { Step } from '../explanation.ts';
import { failedStep, okStep, type Side, settingOf } from '../flow-case.ts';
import type { KernelFacts } from '../side-facts.ts';

export function hostSteps(side: Side): Step[] {
  const { kernel } = side.facts;
  if (kernel === null) return [];
  return [...forwarding(side, kernel), ...reversePath(side, kernel), firewall(side, kernel)];
}

function forwarding({ name, near, facts }: Side, kernel: KernelFacts): Step[] {
  if (kernel.own) return [];
  const isIpv6 = near.includes(':');
  const setting = isIpv6 ? 'net.ipv6.conf.all.forwarding' : 'net.ipv4.ip_forward';
  if (!kernel.forwarding) {
    const text = `${setting} is 0: the packets of the site's hosts are not passed on.`;
    const first = isIpv6
      ? ' Where the host has its own default route from router advertisements, set accept_ra to 2 there first.'
      : '';
    const remedy = `Switch it on.${first}`;
    return [
      failedStep({ step: 'forwarding', at: name, text }, remedy, name, `sysctl -w ${setting}=1`),
    ];
  }
  const closed = [
    { device: facts.device, lookups: kernel.toNear },
    ...(kernel.lan === null ? [] : [{ device: kernel.lan.device, lookups: kernel.toFar }]),
  ].find(
    ({ lookups }) => lookups.forwarded.result === 'unreachable' && lookups.own.result === 'sent',
  );
  if (closed === undefined || isIpv6) return [okStep('forwarding', name, `${setting} is 1.`)];
  const own = settingOf(closed.device, 'forwarding');
  const text = `${setting} is 1, and yet the kernel passes nothing on that comes in by ${closed.device}.`;
  return [
    failedStep(
      { step: 'forwarding', at: name, text },
      'Switch it on for the interface.',
      name,
      `sysctl -w ${own}=1`,
    ),
  ];
}

function reversePath({ name, near, far, facts }: Side, kernel: KernelFacts): Step[] {
  if (near.includes(':') || kernel.own) return [];
  const ways = [
    { device: facts.device, source: far, lookups: kernel.toNear },
    ...(kernel.lan === null
      ? []
      : [{ device: kernel.lan.device, source: near, lookups: kernel.toFar }]),
  ];
  const rejecting = ways.find(({ lookups }) => lookups.forwarded.result === 'rejected');
  if (rejecting === undefined) {
    const strict = kernel.strict.length === 0 ? '' : `, although it is strict on ${kernel.strict}`;
    return [okStep('rp_filter', name, `It takes the sources on both interfaces${strict}.`)];
  }
  const { device, source } = rejecting;
  if (!kernel.strict.includes(device)) {
    const text = `The kernel takes nothing from ${source} on ${device}: it is an address of its own, or its way there is a blackhole.`;
    const remedy = `See what \`ip route get ${source}\` says.`;
    return [failedStep({ step: 'rp_filter', at: name, text }, remedy, name)];
  }
  const text = `rp_filter is strict on ${device}, and the way back to ${source} is another: what comes from there is dropped.`;
  const command = `sysctl -w ${settingOf(device, 'rp_filter')}=2`;
  return [failedStep({ step: 'rp_filter', at: name, text }, 'Make it loose.', name, command)];
}

const WAYS = { forward: ['iifname', 'oifname'], input: ['iifname'], output: ['oifname'] } as const;
const OPTIONS = { iifname: '-i', oifname: '-o' } as const;

function firewall({ name, facts }: Side, { filters, own }: KernelFacts): Step {
  const ways = own ? 'what comes in and goes out' : 'what is forwarded';
  if (filters.length === 0) {
    return okStep('firewall', name, `No chain of others drops ${ways} unless it is let in.`);
  }
  const names = filters.map(({ family, table, chain }) => `${family} ${table} ${chain}`).join(', ');
  const [isOne, it] = filters.length === 1 ? ['drops', 'it'] : ['drop', 'them'];
  const text = `${names} ${isOne} what no rule of ${it} accepts, and none names ${facts.device}.`;
  const commands = filters.flatMap((filter) =>
    WAYS[filter.hook].map((way) => accepting(filter, way, facts.device)),
  );
  const remedy =
    'Accept what comes from the mesh and goes there; for good, in the configuration of that firewall.';
  return failedStep({ step: 'firewall', at: name, text }, remedy, name, ...commands);
}

/** Chains of iptables are better changed by its own command, which reads back what it wrote. */
function accepting(
  { family, table, chain }: KernelFacts['filters'][number],
  way: keyof typeof OPTIONS,
  device: string,
): string {
  if (family !== 'inet' && table === 'filter' && /^[A-Z]+$/.test(chain)) {
    const program = family === 'ip' ? 'iptables' : 'ip6tables';
    return `${program} -I ${chain} ${OPTIONS[way]} ${device} -j ACCEPT`;
  }
  return `nft insert rule ${family} ${table} ${chain} ${way} ${device} accept`;
}
