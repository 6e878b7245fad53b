import type { Next } from './types.js';

const FIELDS: ReadonlySet<string> = new Set(['state', 'continue', 'stop', 'garbageCollect']);
const EXPECTED = 'expected nothing, or an object of state, continue, stop and garbageCollect';

/** Checks what a hook returned, other than nothing. Throws `TypeError` for any other shape. */
export function checkNext(given: unknown, hook: string): Next<unknown> {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    const kind = given === null ? 'null' : Array.isArray(given) ? 'an array' : `a ${typeof given}`;
    throw new TypeError(`${hook} returned ${kind}: ${EXPECTED}`);
  }
  // `for in` is the fastest loop over few fields. It sees inherited fields too, which are as wrong as any other.
  for (const field in given) {
    if (!FIELDS.has(field)) throw new TypeError(`${hook} returned an object with the field ${field}: ${EXPECTED}`);
  }
  // Getters are read once, and here, where the caller catches what they throw.
  const { state, continue: term, stop, garbageCollect } = given as Next<unknown>;
  if (garbageCollect !== undefined && typeof garbageCollect !== 'boolean') {
    throw new TypeError(`${hook} returned a garbageCollect that is no boolean: ${EXPECTED}`);
  }
  const empty = state === undefined && term === undefined && stop === undefined && garbageCollect === undefined;
  if (empty && !isPlain(given)) {
    throw new TypeError(`${hook} returned an instance of a class without any of its fields: ${EXPECTED}`);
  }
  return { state, continue: term, stop, garbageCollect };
}

/** An error, a date or a map without any of the fields is a mistake, not "nothing". */
function isPlain(given: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Checks what `init` returned: as above, or `'ignore'` if it declines to run. */
export function checkFirst(given: unknown): Next<unknown> | 'ignore' {
  if (given === undefined) return {};
  const ignored =
    typeof given === 'object' &&
    given !== null &&
    Object.keys(given).length === 1 &&
    (given as { ignore?: unknown }).ignore === true;
  return ignored ? 'ignore' : checkNext(given, 'init');
}
