import { MemoryOfKey } from './memory-of-key.js';

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
