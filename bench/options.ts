/** What a benchmark is told, and what it answers. */
export interface Options {
  /** How often ours and the peer are measured, in turn. */
  readonly pairs: number;
  /** Length of one measurement; undefined = the benchmark's own. */
  readonly seconds: number | undefined;
  /** Skip the peer: a quick look at ours while tuning. */
  readonly noPeer: boolean;
}

/** One measured figure against its budget. */
export interface Figure {
  /** Empty when the benchmark has only one. */
  readonly part: string;
  readonly ours: number;
  /** What it is compared with; undefined if the budget is absolute. */
  readonly peer?: number | undefined;
  readonly unit: string;
  /** A bound on ours / peer, or on ours itself when there is no peer. */
  readonly budget: { readonly least: number } | { readonly most: number };
  /** `ratio`: the budget bounds ours / peer. */
  readonly against: 'ratio' | 'value';
  /** What `peer` is, where it is not the other implementation. */
  readonly reference?: string;
}

export function ratioOf(figure: Figure): number | undefined {
  return figure.peer === undefined ? undefined : figure.ours / figure.peer;
}

/** The value that the budget bounds; undefined when the peer was not measured. */
function bounded(figure: Figure): number | undefined {
  return figure.against === 'ratio' ? ratioOf(figure) : figure.ours;
}

export function isMet(figure: Figure): boolean {
  const value = bounded(figure);
  if (value === undefined) return false;
  return 'least' in figure.budget ? value >= figure.budget.least : value <= figure.budget.most;
}

/** How far inside its budget a figure is: 1 = exactly met, below 1 = missed. */
export function margin(figure: Figure): number {
  const value = bounded(figure);
  if (value === undefined) return 0;
  return 'least' in figure.budget ? value / figure.budget.least : figure.budget.most / value;
}

export function budgetText({ budget, against, unit, reference = 'peer' }: Figure): string {
  const bound = 'least' in budget ? `≥ ${amount(budget.least)}` : `≤ ${amount(budget.most)}`;
  return against === 'ratio' ? `${bound} × ${reference}` : `${bound} ${unit}`;
}

/** Short: 250, 2.0, 10 M. */
function amount(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`;
  if (value >= 10) return String(value);
  const short = value.toFixed(1);
  return Number(short) === value ? short : String(value);
}
