/** The commands of `connector`, one file each. */
import type { Command } from 'commander';
import { bugreportCommand } from './bugreport.ts';
import { captureCommand } from './capture.ts';
import { completionCommand } from './completion.ts';
import { configCheckCommand } from './config-check.ts';
import { createCommand } from './connector-create.ts';
import { deleteCommand } from './connector-delete.ts';
import { lsCommand } from './connector-ls.ts';
import { renameCommand } from './connector-rename.ts';
import { rotateTokenCommand } from './connector-rotate-token.ts';
import { showCommand } from './connector-show.ts';
import { doctorCommand } from './doctor.ts';
import { downCommand } from './down.ts';
import { edgeCertificateCommand } from './edge-certificate.ts';
import { edgeInitCommand } from './edge-init.ts';
import { edgeRunCommand } from './edge-run.ts';
import { edgeStatusCommand } from './edge-status.ts';
import { pingCommand } from './ping.ts';
import { policyCommand } from './policy.ts';
import { rootProgram, withCommands } from './root-program.ts';
import { routesAddCommand } from './routes-add.ts';
import { routesApproveCommand } from './routes-approve.ts';
import { routesCheckCommand } from './routes-check.ts';
import { routesExplainCommand } from './routes-explain.ts';
import { routesGetCommand } from './routes-get.ts';
import { routesLsCommand } from './routes-ls.ts';
import { routesOverlapsCommand } from './routes-overlaps.ts';
import { routesRmCommand } from './routes-rm.ts';
import { serviceInstallCommand } from './service-install.ts';
import { serviceStatusCommand } from './service-status.ts';
import { serviceUninstallCommand } from './service-uninstall.ts';
import { statusCommand } from './status.ts';
import { tokensCommand } from './tokens.ts';
import { tunnelDownCommand } from './tunnel-down.ts';
import { tunnelStatusCommand } from './tunnel-status.ts';
import { tunnelUpCommand } from './tunnel-up.ts';
import { upCommand } from './up.ts';
import { vnetsCommand } from './vnets.ts';

/** The whole tree of commands, for running and for completion. */
export function buildProgram(): Command {
  const program = rootProgram();
  program
    .commandsGroup('On a gateway:')
    .addCommand(upCommand())
    .addCommand(downCommand())
    .addCommand(statusCommand())
    .addCommand(doctorCommand())
    .addCommand(pingCommand())
    .addCommand(captureCommand())
    .addCommand(bugreportCommand());
  program
    .command('config')
    .description('the configuration file of a gateway')
    .addCommand(configCheckCommand());
  program
    .commandsGroup('On the edge, or for one (--edge):')
    .addCommand(createCommand())
    .addCommand(lsCommand())
    .addCommand(showCommand())
    .addCommand(renameCommand())
    .addCommand(rotateTokenCommand())
    .addCommand(deleteCommand());
  program
    .command('routes')
    .description('which prefixes go to which connector')
    .addCommand(routesLsCommand())
    .addCommand(routesAddCommand())
    .addCommand(routesRmCommand())
    .addCommand(routesApproveCommand())
    .addCommand(routesGetCommand())
    .addCommand(routesCheckCommand())
    .addCommand(routesOverlapsCommand())
    .addCommand(routesExplainCommand());
  program.addCommand(policyCommand());
  program.addCommand(vnetsCommand()).addCommand(tokensCommand());
  program
    .command('edge')
    .description('the coordinating server: registry, API and relay')
    .addCommand(edgeInitCommand())
    .addCommand(edgeRunCommand())
    .addCommand(edgeStatusCommand())
    .addCommand(edgeCertificateCommand());
  program
    .commandsGroup('On any host:')
    .command('tunnel')
    .description('WireGuard tunnels from wg-quick configuration files')
    .addCommand(tunnelUpCommand())
    .addCommand(tunnelDownCommand())
    .addCommand(tunnelStatusCommand());
  program
    .command('service')
    .description('a gateway, or an edge (--edge), as a service of systemd')
    .addCommand(serviceInstallCommand())
    .addCommand(serviceUninstallCommand())
    .addCommand(serviceStatusCommand());
  program.addCommand(completionCommand(program));
  return withCommands(program);
}
