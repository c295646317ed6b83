/** Everything a namespace's network stack was told, as text: to see that nothing was left behind. */
import type { Namespace } from '../../lab/namespace.ts';

const QUESTIONS = [
  '-o link',
  'rule',
  '-6 rule',
  'route show table all',
  '-6 route show table all',
].map((question) => ['ip', ...question.split(' ')]);

export async function networkState(namespace: Namespace): Promise<string> {
  const answers: string[] = [];
  for (const question of [...QUESTIONS, ['nft', 'list', 'ruleset']]) {
    answers.push(await namespace.run(question));
  }
  return answers.join('\n');
}
