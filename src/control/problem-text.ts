/**
 * What a problem document says, for a person. Of a request that does not fit its schema the document
 * points to the fields by their paths in the API (`body.autoApprove.0`), which mean nothing to whoever
 * typed a command: here they are words, with the value that was given.
 */
import type { Problem } from './api.ts';

/** Faults that are told. */
const TOLD = 3;
/** Characters of a value that are shown. */
const MOST_SHOWN = 80;

/**
 * One sentence, or more.
 *
 * @param body of the request, whose values may be shown; undefined = they are nobody's to read
 */
export function sayProblem({ detail, errors = [] }: Problem, body?: unknown): string {
  if (errors.length === 0) return detail;
  const said = errors.slice(0, TOLD).map(({ path, message }) => {
    const [where, ...fields] = path.split('.');
    const value = where === 'body' ? show(valueAt(body, fields)) : '';
    return `${wordsOf(fields)}${value}: ${message.replace(/\.$/, '')}`;
  });
  const more = errors.length - said.length;
  return `The edge does not take the ${said.join('; the ')}${more > 0 ? `; and ${more} more` : ''}.`;
}

/** `autoApprove.0` is `auto-approve`, as the option is called. */
function wordsOf(fields: readonly string[]): string {
  const names = fields.filter((field) => !/^[0-9]+$/.test(field));
  if (names.length === 0) return 'request';
  return names
    .map((name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
    .join(' ');
}

function valueAt(body: unknown, fields: readonly string[]): unknown {
  let value = body;
  for (const field of fields) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field))
      return undefined;
    value = (value as Readonly<Record<string, unknown>>)[field];
  }
  return value;
}

function show(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') return '';
  const text = JSON.stringify(value);
  return text.length > MOST_SHOWN ? '' : ` ${text}`;
}
