/** Whether a gateway's kernel lets a flow through: forwarding, the check of sources, filters of others. Pure. */

import { parsePrefix } from '../../../routing/prefix.ts';
import { forwardRemedy, iptablesProgram } from '../../doctor/firewall-remedy.ts';
import { natRemedy } from '../../doctor/nat-remedy.ts';
import type { Step } from '../explanation.ts';
import { failedStep, okStep, type Side, settingOf, uncheckedStep } from '../flow-case.ts';
import type { KernelFacts } from '../side-facts.ts';

type Filter = KernelFacts['filters'][number];

export function hostSteps(side: Side): Step[] {
  const { kernel } = side.facts;
  if (kernel === null) return [];
  return [
    ...forwarding(side, kernel),
    ...reversePath(side, kernel),
    firewall(side, kernel),
    ...addresses(side, kernel),
  ];
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

function firewall({ name: at, facts }: Side, { filters, filtersRead }: KernelFacts): Step {
  const step = 'firewall';
  const [first] = filters;
  if (first === undefined && !filtersRead) {
    const text = 'Not all packet filters of the host can be read: `connector doctor` says why.';
    return uncheckedStep(step, at, text);
  }
  if (first === undefined) {
    return okStep(step, at, 'No chain of the host drops the flow or its answers.');
  }
  const stopping = filters.filter(({ passage }) => passage === 'dropped');
  if (stopping.length === 0) {
    const names = filters.map(nameOf).join(', ');
    const text = `${names} may drop it: that depends on rules which cannot be judged from here.`;
    return uncheckedStep(step, at, text);
  }
  const said = stopping.map((filter) => {
    const what = filter.way === 'flow' ? 'the flow' : 'its answers';
    return `${nameOf(filter)} drops ${what} (${filter.product}).`;
  });
  const commands = stopping.flatMap((filter) => accepting(filter, facts.device));
  const remedy = 'Let pass what comes from the mesh and goes there.';
  return failedStep({ step, at, text: said.join(' ') }, remedy, at, ...new Set(commands));
}

/** Said only where a rule rewrites them: all that the other steps say is of the addresses as asked. */
function addresses({ name: at, far, facts }: Side, { rewrites, lan }: KernelFacts): Step[] {
  const [first] = rewrites;
  if (first === undefined) return [];
  const said = rewrites.map((rewrite) => {
    const what =
      rewrite.hook === 'prerouting'
        ? 'sends the flow to another destination'
        : "puts the gateway's address in place of the source";
    return `${nameOf(rewrite)} ${what} (${rewrite.product}).`;
  });
  const remote = parsePrefix(facts.far.chosen?.prefix ?? far);
  const commands = rewrites.flatMap(({ tool, family, table, chain: name, hook, product, way }) => {
    const ofChain = { tool, family, table, type: 'nat', policy: undefined, rules: [] };
    const chain = { ...ofChain, name, hook };
    const beside = product === 'firewalld' ? [{ ...chain, name: 'POSTROUTING_direct' }] : [];
    const rewritten = {
      ...{ chain, way, interfaceName: facts.device, links: lan === null ? [] : [lan.device] },
      ...{ family: far.includes(':') ? (6 as const) : (4 as const) },
      remote: remote === undefined ? [] : [remote],
    };
    return natRemedy(rewritten, [chain, ...beside]).commands;
  });
  const remedy = 'Spare what goes into the mesh, or comes out of it.';
  const found = { step: 'addresses', at, text: said.join(' ') };
  return [failedStep(found, remedy, at, ...new Set(commands))];
}

function nameOf({
  tool,
  family,
  table,
  chain,
}: Omit<Filter, 'hook' | 'product' | 'way' | 'passage'>): string {
  return tool === 'nft'
    ? `${family} ${table} ${chain}`
    : `${chain} of ${iptablesProgram({ tool, family })}`;
}

/** By a chain of which `forwardRemedy` knows the product. */
const SIGNS: Readonly<Partial<Record<Filter['product'], string>>> = {
  Docker: 'DOCKER-USER',
  ufw: 'ufw-user-forward',
  firewalld: 'FORWARD_direct',
};

function accepting(filter: Filter, device: string): readonly string[] {
  const { tool, family, table, hook, product } = filter;
  const ofChain = { tool, family, table, type: 'filter', policy: undefined, rules: [] };
  const chain = { ...ofChain, name: filter.chain, hook };
  if (hook !== 'input' && hook !== 'output') {
    const sign = SIGNS[product];
    const beside = sign === undefined ? [] : [{ ...ofChain, name: sign, hook: undefined }];
    return forwardRemedy(chain, [chain, ...beside], device).commands;
  }
  const [nft, iptables] = hook === 'input' ? ['iifname', '-i'] : ['oifname', '-o'];
  return tool === 'nft'
    ? [`nft insert rule ${family} ${table} ${chain.name} ${nft} ${device} accept`]
    : [`${iptablesProgram(chain)} -I ${chain.name} ${iptables} ${device} -j ACCEPT`];
}
