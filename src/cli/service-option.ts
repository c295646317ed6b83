/** `--edge`, the same for every `connector service` command: which of the two services is meant. */
import { Command } from 'commander';
import type { Service } from './service-units.ts';

export interface ServiceOptions {
  readonly edge?: true;
}

export function serviceCommand(name: string): Command {
  return new Command(name).option('--edge', 'the edge, not a gateway');
}

export function chosenService({ edge }: ServiceOptions): Service {
  return edge ? 'edge' : 'gateway';
}
