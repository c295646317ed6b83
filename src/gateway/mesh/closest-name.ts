/** The known name that a mistyped one was probably meant to be. Pure. */

/** Share of a name's letters that may be wrong. */
const MOST_WRONG = 0.5;

/** Undefined = nothing is near. */
export function closestName(given: string, known: readonly string[]): string | undefined {
  const word = given.toLowerCase().replaceAll('_', '-');
  const rated = known.map((name) => ({ name, distance: editDistance(word, name) }));
  const best = rated.toSorted((a, b) => a.distance - b.distance)[0];
  if (best === undefined || best.distance > best.name.length * MOST_WRONG) return undefined;
  return best.name;
}

/** Levenshtein's distance: letters to be put in, taken out or replaced. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
