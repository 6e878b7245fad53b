import { wrong } from './options.js';

/** The part of a collector that a stream writes into. */
export interface StreamCollector<Item> {
  syncAddItem(item: Item, options?: { signal?: AbortSignal }): Promise<void>;
  flush(options?: { signal?: AbortSignal }): Promise<void>;
}

/** Throws `OptionsError` if it is none. */
export function checkCollector(owner: string, collector: unknown): void {
  const { syncAddItem, flush } = (collector ?? {}) as Partial<StreamCollector<unknown>>;
  if (typeof syncAddItem !== 'function' || typeof flush !== 'function') {
    throw wrong('collector', 'a collector (BatchPlease, KeyedBatcher)', collector, owner);
  }
}
