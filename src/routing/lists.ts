/** Long lists put together, and what two of them do not have in common. Pure. */

/** Arguments of one call. */
const MOST_ARGUMENTS = 1_000;

/** As `flat`, which takes ten times as long. */
export function joined<T>(lists: readonly (readonly T[])[]): readonly T[] {
  const some = lists.filter(({ length }) => length > 0);
  if (some.length === 1) return some[0]!;
  let all: T[] = [];
  for (let i = 0; i < some.length; i += MOST_ARGUMENTS) {
    all = all.concat(...some.slice(i, i + MOST_ARGUMENTS));
  }
  return all;
}

/**
 * Both without their common beginning and end.
 *
 * @param same whether two entries count as one; without it, whether they are one object
 */
export function differing<T>(
  before: readonly T[],
  after: readonly T[],
  same: (a: T, b: T) => boolean = isOne,
): { readonly before: readonly T[]; readonly after: readonly T[] } {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && same(before[head]!, after[head]!)) head++;
  const [last, lastAfter] = [before.length - 1, after.length - 1];
  const most = shorter - head;
  let tail = 0;
  while (tail < most && same(before[last - tail]!, after[lastAfter - tail]!)) tail++;
  return {
    before: before.slice(head, before.length - tail),
    after: after.slice(head, after.length - tail),
  };
}

function isOne(a: unknown, b: unknown): boolean {
  return a === b;
}
