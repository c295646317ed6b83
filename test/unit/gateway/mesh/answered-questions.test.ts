/** Whether questions are answered, where what goes with it cannot be had. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DiagnosisListener } from '../../../../src/gateway/diagnosis/diagnosis-listener.ts';
import { AnsweredQuestions } from '../../../../src/gateway/mesh/answered-questions.ts';
import { describeDiagnosis } from '../../../../src/gateway/mesh/mesh-report.ts';
import type { MeshView } from '../../../../src/gateway/mesh/mesh-view.ts';
import { Turns } from '../../../../src/gateway/mesh/turns.ts';
import { netmap } from './netmaps.ts';

const answer = vi.fn(async (_: boolean) => {});
const use = vi.spyOn(DiagnosisListener.prototype, 'use').mockImplementation(async () => {});
const close = vi.spyOn(DiagnosisListener.prototype, 'close');
let questions: AnsweredQuestions;

function make(answers: boolean): void {
  questions = new AnsweredQuestions({
    ...{ answers, turns: new Turns(), inForce: { netmap: netmap({}), answer } },
    kernel: { families: [4] },
    view: () => ({}) as MeshView,
    log: pino({ level: 'silent' }),
  });
}

const status = () => describeDiagnosis({ diagnosis: questions.listener });

beforeEach(() => vi.clearAllMocks());
afterEach(() => questions.close());

test('none is answered, and status says so, although the kernel could not be told', async () => {
  make(true);
  answer.mockRejectedValueOnce(new Error('spawn ip EAGAIN'));
  await expect(questions.answer(false)).rejects.toThrow('EAGAIN');
  expect(close).toHaveBeenCalledOnce();
  expect(status()).toBeNull();
});

test('they are answered, and status says so, although the kernel could not be told', async () => {
  make(false);
  expect(status()).toBeNull();
  answer.mockRejectedValueOnce(new Error('spawn ip EAGAIN'));
  await expect(questions.answer(true)).rejects.toThrow('EAGAIN');
  expect(use).toHaveBeenCalledExactlyOnceWith([expect.stringMatching(/^100\./)]);
  expect(status()).toMatchObject({ fault: null });
  // Tried again, it is the same listener, with its figures.
  const { listener } = questions;
  await questions.answer(true);
  expect(questions.listener).toBe(listener);
  expect(close).not.toHaveBeenCalled();
  expect(answer.mock.calls).toEqual([[true], [true]]);
});
