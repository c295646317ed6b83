/** `connector edge run`: the edge in the foreground, for a service manager; SIGTERM ends it. */
import { Command } from 'commander';
import { addEdgeSettings, type EdgeSettingsOptions, settingsChange } from './edge-options.ts';
import { packageVersion } from './version.ts';

export function edgeRunCommand(): Command {
  return addEdgeSettings(new Command('run'))
    .description('run the edge in the foreground: registry, API and relay')
    .action(run);
}

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function run(options: EdgeSettingsOptions): Promise<void> {
  // Packets wait for the relay after a restart: its thread loads while this one does.
  const { prepareRelay } = await import('../edge/relay/relay-process.ts');
  const openRelay = prepareRelay();
  const { openLog } = await import('../gateway/log.ts');
  const { openEdge } = await import('../edge/edge.ts');
  const { ServiceManager } = await import('../gateway/service-manager.ts');
  const service = ServiceManager.inherited();
  const log = openLog(process.env.LOG_LEVEL, { edge: options.name });
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  for (const signal of ENDING_SIGNALS) process.on(signal, () => end(signal));
  const edge = await openEdge({
    directory: options.data,
    settings: await settingsChange(options),
    version: packageVersion(),
    log,
    openRelay,
  });
  const { urls, port, relayPort, tlsPin } = edge;
  log.info({ urls, port, relayPort, tlsPin }, 'the edge is up');
  service.ready();
  service.watch({ answers: edge.answers, status: edge.summary });
  const failure = await Promise.race([ended, edge.failed.then((error) => ({ error }))]);
  service.stopping();
  if (typeof failure === 'string') log.info({ signal: failure }, 'the edge ends');
  await edge.close();
  if (typeof failure !== 'string') throw failure.error;
  process.exit();
}
