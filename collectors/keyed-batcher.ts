import type { AddOptions, BatchPleaseHooks, CloseOptions, FlushOptions, WaitOptions } from '../src/index.js';
import { callAll, probe } from './keyed/calls.js';
import { Intake } from './keyed/intake.js';
import { wrong } from './keyed/options.js';
import type * as types from './keyed/types.js';
import type { MemoryBatch } from './memory-batcher.js';

export type {
  KeyCollector,
  KeyedBatcherOptions,
  KeyedChanges,
  KeyedClearOptions,
  KeyedConfig,
  KeyedContext,
  KeyedEvents,
  KeyedFlushOptions,
  KeyedHooks,
  KeyedState,
} from './keyed/types.js';

type OtherHooks<Item, Batch> = Omit<BatchPleaseHooks<Item, Batch>, keyof types.KeyedHooks<Item, unknown, Batch>>;
type Listener<Payload> = (payload: Payload) => unknown;

/* eslint-disable @typescript-eslint/no-unsafe-declaration-merging -- the class declares
   its hooks, all of them optional, by merging with their interfaces: subclasses may leave them out */
/** The hooks of a keyed batcher, all of them optional methods. */
export interface KeyedBatcher<Item, Key, Batch> extends types.KeyedHooks<Item, Key, Batch>, OtherHooks<Item, Batch> {}

/**
 * Collects items in one batch per key: a tenant, a table, a partition. Triggers hold per key, as does the order;
 * `maxPending`, `highWaterMark` and `flushConcurrency` hold over all keys together, and lanes are shared fairly.
 *
 * @example
 * const rows = new KeyedBatcher({
 *   key: (row: Row) => row.tenant,
 *   maxBatchSize: 100,
 *   flushConcurrency: 4,
 *   batchFlush: ({ items }, { key }) => insert(key, items),
 * });
 */
export class KeyedBatcher<Item, Key, Batch = MemoryBatch<Item>> {
  readonly #intake: Intake<Item, Key, Batch>;
  #closed: Promise<void> | undefined;

  /** @throws OptionsError at the first wrong or unknown option */
  constructor(options: types.KeyedBatcherOptions<Item, Key, Batch> = {}) {
    this.#intake = new Intake(this, options);
  }

  /**
   * Takes the item without waiting. `false` means "slow down", or that it was not accepted (full, closed). If the item
   * will never be delivered, `onError` is called with the reason, and an event is emitted.
   *
   * @throws MissingHookError if `key` or `batchFlush` is neither method nor option
   */
  addItem(item: Item, options?: AddOptions): boolean {
    return this.#intake.addNow(item, options);
  }

  /** Adds all items as `addItem` does; `false` if one of these calls returned `false`. */
  addItems(items: Iterable<Item>, options?: AddOptions): boolean {
    let ready: boolean | undefined;
    for (const item of items) ready = this.addItem(item, options) && ready !== false;
    return ready ?? this.#intake.roomy;
  }

  /**
   * Resolves when the item is in its batch and, if it made that batch due, a lane is free again once that batch has
   * started. Waits for room when the batcher is full. The promise may be ignored.
   *
   * @throws only if the item will never be delivered: `ItemError`, `OverflowError`, `FlushError`, `ClearedError`,
   * `ClosedError`, `MissingHookError`; or the reason of `signal`. Always as a rejection.
   */
  syncAddItem(item: Item, options?: WaitOptions): Promise<void> {
    return this.#intake.addAwaited('syncAddItem', item, options);
  }

  /** Resolves when the item has been delivered. Waits for room when full. May be ignored. @throws as `syncAddItem` */
  deliverItem(item: Item, options?: WaitOptions): Promise<void> {
    return this.#intake.addAwaited('deliverItem', item, options);
  }

  /**
   * Delivers everything accepted before the call, of one key or of all, as soon as there are lanes for it.
   *
   * @throws FlushError when a batch that it covers is held or dropped, `TimeoutError` after `timeout`; as a rejection
   */
  flush(options?: types.KeyedFlushOptions<Key>): Promise<void> {
    if (this.#closed !== undefined) return this.#closed;
    const { entries, rest } = this.#intake.select(options);
    if (entries.length === 0) return probe().flush(rest);
    return callAll(entries.map((entry) => entry.collector.flush(rest as FlushOptions)));
  }

  /**
   * Takes no more items, delivers the pending ones, calls `batchTerminate` and releases everything.
   *
   * @throws CloseError if something was not delivered; as a rejection
   */
  close(options?: CloseOptions): Promise<void> {
    if (this.#closed !== undefined) return this.#closed;
    void probe().close(options); // throws for wrong options
    let begin!: () => void; // assigned by the executor, which runs at once
    const started = new Promise<void>((resolve) => {
      begin = resolve;
    });
    // Before anything else: the hooks that run now may call back.
    this.#closed = started.then(() => this.#intake.close(options?.timeout ?? 30_000, options?.flush ?? true));
    this.#closed.catch(() => undefined); // reported by event
    this.#intake.shut();
    begin();
    return this.#closed;
  }

  /** Takes back every batch that is not in flight, of one key or of all; oldest first within a key. */
  clear(options?: types.KeyedClearOptions<Key>): Batch[] {
    const { entries, rest = {} } = this.#intake.select(options);
    for (const [name, given] of Object.entries(rest)) throw wrong('clear', name, 'no such option', given);
    return entries.flatMap((entry) => {
      const batches = entry.collector.clear();
      this.#intake.looked(entry);
      return batches;
    });
  }

  /** Lets no attempt start until `resume()` or `close()`. Adds go on. */
  pause(): void {
    if (this.#closed === undefined) this.#intake.lanes.pause();
  }

  /** Ends a pause; batches that are due start at once. */
  resume(): void {
    this.#intake.resume();
  }

  /**
   * Changes limits, triggers and policies while running, all or nothing.
   *
   * @throws OptionsError
   */
  configure(changes: types.KeyedChanges): void {
    this.#intake.configure(changes);
  }

  /** Calls `close()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Adds a listener; returns a function that removes it. A listener that throws harms nothing. */
  on<Name extends keyof types.KeyedEvents<Item, Key, Batch>>(
    event: Name,
    listener: Listener<types.KeyedEvents<Item, Key, Batch>[Name]>,
  ): () => void {
    return this.#intake.events.on(event, listener);
  }

  /** Removes a listener. */
  off<Name extends keyof types.KeyedEvents<Item, Key, Batch>>(
    event: Name,
    listener: Listener<types.KeyedEvents<Item, Key, Batch>[Name]>,
  ): void {
    this.#intake.events.off(event, listener);
  }

  /** A live, read-only view of all keys; `state.of(key)` is that of one. */
  get state(): types.KeyedState<Item, Key, Batch> {
    return this.#intake.state;
  }
}
