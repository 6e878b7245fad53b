import { PartialFlushError } from '../errors.js';

/** The items that failed and why, in the order of the batch. Throws if a position is out of range. */
export function readErrors(error: unknown, size: number): [number, unknown][] {
  const given = (error as { errors?: unknown }).errors;
  if (!Array.isArray(given)) throw new TypeError('PartialFlushError: errors must be a list');
  const list = given as readonly unknown[];
  const named = new Map<number, unknown>();
  const arePairs = list.every((entry) => Array.isArray(entry));
  // `forEach` passes over the holes of a sparse list, which stand for items that were delivered.
  list.forEach((entry, place) => {
    if (!arePairs && entry !== undefined) named.set(place, entry);
    else if (arePairs) named.set(positionOf(entry as unknown[]), (entry as unknown[])[1]);
  });
  for (const index of named.keys()) {
    if (!Number.isInteger(index) || index < 0 || index >= size) {
      throw new RangeError(`PartialFlushError: there is no item at position ${String(index)} in a batch of ${size}`);
    }
  }
  return [...named].sort(([a], [b]) => a - b);
}

/** The error of a batch whose items are given up: theirs if they have one, else a list of all, each at the place of its item. */
export function oneError(errors: readonly unknown[], partial: unknown): unknown {
  if (errors.every((error) => error === errors[0])) return errors[0];
  return new PartialFlushError(errors.map((error) => error ?? partial)); // nothing at a place means delivered
}

/** The error of each item, where they differ. */
export function errorsOf(error: unknown, size: number): ReadonlyMap<number, unknown> | undefined {
  if (codeOf(error) !== 'ERR_BATCH_PARTIAL') return undefined;
  try {
    return new Map(readErrors(error, size));
  } catch {
    return undefined; // it is what a hook has thrown, as it is
  }
}

/** The error of a hook before the flush: nothing was delivered, so the batch cannot have failed in part. */
export function throwWhole(error: unknown): never {
  if (codeOf(error) !== 'ERR_BATCH_PARTIAL') throw error;
  throw new TypeError('batchPreFlush cannot fail in part, since nothing was delivered yet', { cause: error });
}

/** `Object.entries` makes pairs whose positions are text; taken for an aligned list, they would blame other items. */
function positionOf([index]: readonly unknown[]): number {
  return typeof index === 'string' && /^\d+$/.test(index) ? Number(index) : (index as number); // checked by the caller
}

/** Errors of another copy of the package have the same code. Never throws. */
export function codeOf(error: unknown): unknown {
  try {
    return (error as { code?: unknown } | null | undefined)?.code;
  } catch {
    return undefined;
  }
}
