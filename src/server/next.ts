import type { Next } from './types.js';

const FIELDS: ReadonlySet<string> = new Set(['state', 'continue', 'stop', 'garbageCollect']);

/** What a hook returned other than nothing; any other shape throws `TypeError`. */
export function checkNext(given: unknown, hook: string): Next<unknown> {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    const kind = given === null ? 'null' : Array.isArray(given) ? 'an array' : `a ${typeof given}`;
    throw new TypeError(`${hook} returned ${kind}: ${EXPECTED}`);
  }
  // The fastest loop over so few fields; those of a prototype are as wrong as any other.
  for (const field in given) {
    if (!FIELDS.has(field)) throw new TypeError(`${hook} returned an object with the field ${field}: ${EXPECTED}`);
  }
  // Its getters, if it has any, are asked once, and here, where one that throws does no harm.
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

/** An error, a date or a map says nothing by having none of the fields. */
function isPlain(given: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

const EXPECTED = 'expected nothing, or an object of state, continue, stop and garbageCollect';

/** Of `init`: as above, or whether it declines to run. */
export function checkFirst(given: unknown): Next<unknown> | 'ignore' {
  if (given === undefined) return {};
  const ignored =
    typeof given === 'object' &&
    given !== null &&
    Object.keys(given).length === 1 &&
    (given as { ignore?: unknown }).ignore === true;
  return ignored ? 'ignore' : checkNext(given, 'init');
}
