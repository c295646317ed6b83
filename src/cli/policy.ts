/** `connector policy …`: what may talk to what in a virtual network. */
import { Command } from 'commander';
import { policyExplainCommand } from './policy-explain.ts';
import { policyHistoryCommand, policyRollbackCommand } from './policy-history.ts';
import { policyGetCommand, policySetCommand, policyTestCommand } from './policy-set.ts';

export function policyCommand(): Command {
  return new Command('policy')
    .description('what may talk to what in a virtual network')
    .addCommand(policyGetCommand())
    .addCommand(policySetCommand())
    .addCommand(policyTestCommand())
    .addCommand(policyHistoryCommand())
    .addCommand(policyRollbackCommand())
    .addCommand(policyExplainCommand());
}
