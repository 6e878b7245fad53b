import { MemoryOfKey } from './memory-of-key.js';
import type { KeyCollector } from './types.js';

/** An empty collector, for what is the same as without any key: checks of a call's options, and its answer. */
export function probe(): MemoryOfKey<never> {
  return new MemoryOfKey<never>({ batchFlush: () => undefined });
}

/** Resolves when all have, rejects with the first that does. May be ignored: each failure is an event as well. */
export function callAll(promises: readonly Promise<void>[]): Promise<void> {
  const all = Promise.all(promises).then(() => undefined);
  all.catch(() => undefined);
  return all;
}

/** A collector of another version of the package may be without it. */
const HOLD = Symbol.for('batch-please.hold');

/** Pauses the collector, also while it closes. */
export function pause(collector: Pick<KeyCollector<never, never>, 'pause'>): void {
  const hold = (collector as { [HOLD]?: () => void })[HOLD];
  if (hold === undefined) collector.pause();
  else hold();
}

/** A factory written in JavaScript may forget to return, or be async. */
export function collectorOf<Item, Batch>(made: KeyCollector<Item, Batch>): KeyCollector<Item, Batch> {
  if (typeof (made as Partial<KeyCollector<Item, Batch>> | undefined)?.on === 'function') return made;
  Promise.resolve(made).then(undefined, () => undefined); // its rejection has no other receiver
  throw new TypeError('it must return a collector');
}
