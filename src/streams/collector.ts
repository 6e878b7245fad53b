import { wrong } from './options.js';

/** The part of a collector that a stream writes into. */
export interface StreamCollector<Item> {
  /** Adds an item; resolves when the next one may be added. */
  syncAddItem(item: Item, options?: { signal?: AbortSignal }): Promise<void>;
  /** Delivers what is pending; called at the end of the stream. */
  flush(options?: { signal?: AbortSignal }): Promise<void>;
}

/** Throws `OptionsError` if it is none. */
export function checkCollector(owner: string, collector: unknown): void {
  const { syncAddItem, flush } = (collector ?? {}) as Partial<StreamCollector<unknown>>;
  if (typeof syncAddItem !== 'function' || typeof flush !== 'function') {
    throw wrong('collector', 'a collector (BatchPlease, KeyedBatcher)', collector, owner);
  }
}
