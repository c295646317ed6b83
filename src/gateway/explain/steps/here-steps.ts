/** Flows of which this gateway has nothing to explain: whose they are, and where to ask. Pure. */
import type { Netmap } from '../../../control/netmap.ts';
import type { AskedFlow } from '../asked-flow.ts';
import type { Step } from '../explanation.ts';
import { failedStep } from '../flow-case.ts';

const STEP = 'here';

export function nothingKnown(at: string): Step {
  const text = 'This gateway has no netmap yet: it knows no other connector.';
  const remedy =
    '`connector status` says why the edge is not reached, or that it deleted this one.';
  return failedStep({ step: STEP, at, text }, remedy, at);
}

/** Its mesh IP is the other replica's too, and so are the answers. */
export function standingBy({ self }: Netmap): Step {
  const { name: at } = self;
  const text = `This replica of ${at} stands by: another one carries its prefixes and its mesh IP.`;
  return failedStep({ step: STEP, at, text }, `Ask on the host of ${at} that serves.`, at);
}

export function bothHere({ self }: Netmap, { source, destination }: AskedFlow): Step {
  const text = `${source} and ${destination} are both of ${self.name}, this gateway's own site: nothing between them enters the mesh.`;
  const remedy =
    'If they do not reach each other, look at their own network: addresses, masks, its switch or router.';
  return failedStep({ step: STEP, at: self.name, text }, remedy, self.name);
}

/** @param of names of the connectors whose source and destination are */
export function nobodyHere(
  { self }: Netmap,
  { source, destination }: AskedFlow,
  ofSource: readonly string[],
  ofDestination: readonly string[],
): Step {
  const at = self.name;
  const vnet = self.vnetName;
  const owner = (address: string, names: readonly string[]): string =>
    names.length === 0
      ? `no connector of ${vnet} has ${address}`
      : `${address} is of ${names.join(', ')}`;
  const whose = `${owner(source, ofSource)}, and ${owner(destination, ofDestination)}`;
  const text = `Neither address is of ${at}: ${whose}.`;
  const known = [...new Set([...ofSource, ...ofDestination])];
  if (known.length === 0) {
    const remedy = `Ask on the gateway of one of the two sites. What is in another virtual network than ${vnet} is not reached from here.`;
    return failedStep({ step: STEP, at, text }, remedy, at);
  }
  const remedy = `Ask on the gateway of ${known.join(' or ')}.`;
  const command = `connector routes explain ${source} ${destination}`;
  return failedStep({ step: STEP, at, text }, remedy, known[0]!, command);
}
