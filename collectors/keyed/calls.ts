import { isBacklogged } from './lanes.js';
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

const HOLD = Symbol.for('batch-please.hold');

/**
 * Whether closing waits until one batch is left: a wrapper, or a collector of another version of the package, cannot be
 * paused while it closes, and its other batches would wait for a lane as attempts, and time out.
 */
export function closesLater<Item, Batch>(collector: Pick<KeyCollector<Item, Batch>, 'state'>): boolean {
  return !(HOLD in collector) && isBacklogged(collector.state);
}

/** Pauses the collector, also while it closes if it can. */
export function pause(collector: Pick<KeyCollector<never, never>, 'pause'>): void {
  collector.pause();
  (collector as { [HOLD]?: () => void })[HOLD]?.();
}

/** A factory written in JavaScript may forget to return, or be async. */
export function collectorOf<Item, Batch>(made: KeyCollector<Item, Batch>): KeyCollector<Item, Batch> {
  if (typeof (made as Partial<KeyCollector<Item, Batch>> | undefined)?.on === 'function') return made;
  Promise.resolve(made).then(undefined, () => undefined); // its rejection has no other receiver
  throw new TypeError('it must return a collector');
}
