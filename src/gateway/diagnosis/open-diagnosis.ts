/** The listener of a gateway: who may ask is in its netmap, and what to answer is loaded when somebody asks. */
import type { Log } from '../log.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import { askerOf } from './concern.ts';
import { DiagnosisListener } from './diagnosis-listener.ts';

/**
 * Listens nowhere yet.
 *
 * @param view the gateway as it is when it is called
 * @param onFault called when it cannot listen, or can again
 */
export function openDiagnosis(
  view: () => MeshView,
  log: Log,
  onFault: (listener: DiagnosisListener) => void,
): DiagnosisListener {
  const listener = new DiagnosisListener({
    log,
    onFault: () => onFault(listener),
    askerAt: (address) => {
      const { netmap } = view().inForce;
      const asker = netmap === undefined ? undefined : askerOf(netmap, address);
      return asker === undefined ? undefined : { id: asker.connector };
    },
    answer: async (asker, flow) => {
      const { answerFlow } = await import('./flow-answers.ts');
      return answerFlow(view(), asker, flow);
    },
  });
  return listener;
}
