import { wrong } from './options.js';

/** The part of a collector that a stream writes into. */
export interface StreamCollector<Item> {
  /** Adds an item; resolves when the next one may be added. */
  syncAddItem(item: Item, options?: { signal?: AbortSignal }): Promise<void>;
  /** Delivers what is pending; called at the end of the stream. */
  flush(options?: { signal?: AbortSignal }): Promise<void>;
  /** Listens for batches that are held, whose failure ends the stream; returns a function that removes the listener. */
  on?(event: 'held', listener: () => void): () => void;
}

/** Writes into a collector, one item after the other. */
export class Writer<Item> {
  readonly #collector: StreamCollector<Item>;
  #fail: ((error: unknown) => void) | undefined;
  #unlisten: (() => void) | undefined;

  constructor(collector: StreamCollector<Item>) {
    this.#collector = collector;
  }

  /** Waits as `syncAddItem` does, but for a batch that is held: perhaps only this stream has it tried again. */
  write(item: Item, signal: AbortSignal | undefined): Promise<void> {
    const options = signal && { signal };
    this.#unlisten ??= this.#collector.on?.('held', () => {
      const fail = this.#fail;
      this.#fail = undefined; // once: a try that fails is held again
      if (fail !== undefined) this.#collector.flush(options).catch(fail);
    });
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#collector.syncAddItem(item, options).then(resolve, reject);
    });
  }

  flush(signal: AbortSignal | undefined): Promise<void> {
    this.end();
    return this.#collector.flush(signal && { signal });
  }

  /** Leaves the collector to itself. */
  end(): void {
    this.#fail = undefined;
    this.#unlisten?.();
    this.#unlisten = undefined;
  }
}

/** Throws `OptionsError` if it is none. */
export function checkCollector(owner: string, collector: unknown): void {
  const { syncAddItem, flush } = (collector ?? {}) as Partial<StreamCollector<unknown>>;
  if (typeof syncAddItem !== 'function' || typeof flush !== 'function') {
    throw wrong('collector', 'a collector (BatchPlease, KeyedBatcher)', collector, owner);
  }
}
