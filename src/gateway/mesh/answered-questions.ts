/**
 * Other gateways' questions about flows: answered on our mesh IPs, or not, as the settings say; and what
 * the policy and the kernel let in for that. Nothing of the gateway waits for the listener.
 */
import type { DiagnosisListener } from '../diagnosis/diagnosis-listener.ts';
import { openDiagnosis } from '../diagnosis/open-diagnosis.ts';
import type { Log } from '../log.ts';
import type { MeshKernel } from './mesh-kernel.ts';
import type { MeshView } from './mesh-view.ts';
import type { NetmapInForce } from './netmap-in-force.ts';
import type { Turns } from './turns.ts';

export interface QuestionsOptions {
  /** Whether they are answered. */
  readonly answers: boolean;
  readonly inForce: Pick<NetmapInForce, 'netmap' | 'answer'>;
  readonly kernel: Pick<MeshKernel, 'families'>;
  readonly turns: Pick<Turns, 'take'>;
  /** The gateway as it is when it is called. */
  readonly view: () => MeshView;
  readonly log: Log;
}

export class AnsweredQuestions {
  readonly #options: QuestionsOptions;
  #listener: DiagnosisListener | undefined;

  /** Listens nowhere yet. */
  constructor(options: QuestionsOptions) {
    this.#options = options;
    if (options.answers) this.#listener = this.#open();
  }

  /** Undefined: none is answered. */
  get listener(): DiagnosisListener | undefined {
    return this.#listener;
  }

  /**
   * They are answered from now on, or not, even where it rejects: then the kernel has what goes with it
   * after the next netmap. Called in the gateway's turn.
   */
  async answer(answers: boolean): Promise<void> {
    const before = this.#listener;
    this.#listener = answers ? (before ?? this.#open()) : undefined;
    if (!answers) await before?.close();
    const listens = this.#listener !== undefined && this.#listener.fault === undefined;
    try {
      await this.#options.inForce.answer(listens);
    } finally {
      this.listen();
    }
  }

  /** On the mesh IPs that the kernel can have now. */
  listen(): void {
    const { inForce, kernel } = this.#options;
    const mesh = inForce.netmap?.self.mesh;
    const addresses =
      mesh === undefined
        ? []
        : kernel.families.map((family) => (family === 4 ? mesh.ipv4 : mesh.ipv6));
    void this.#listener?.use(addresses.map((text) => text.slice(0, text.indexOf('/'))));
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }

  /** While somebody else has its port, what comes there is no question: the policy judges it. */
  #open(): DiagnosisListener {
    const { inForce, turns, view, log } = this.#options;
    return openDiagnosis(view, log, (listener) => {
      const follow = async (): Promise<void> => {
        if (this.#listener === listener) await inForce.answer(listener.fault === undefined);
      };
      const failed = (error: unknown): void => log.error({ err: error }, 'questions');
      turns.take(follow).catch(failed);
    });
  }
}
