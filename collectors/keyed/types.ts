import type {
  Awaitable,
  BatchPlease,
  BatchPleaseConfig,
  BatchPleaseEvents,
  BatchPleaseOptions,
  BatchPleaseState,
  BatchView,
  ChangeableOptions,
  FlushContext,
  FlushOptions,
} from '../../src/index.js';
import type { MemoryBatch } from '../memory-batcher.js';

/** The second argument of the flush hooks. */
export interface KeyedContext<Key> extends FlushContext {
  /** The key of all items in the batch. */
  readonly key: Key;
}

type Options<Item, Batch> = BatchPleaseOptions<Item, Batch>;

/** Hooks that also get the key. Each is a method to override, or an option of the same name, which wins. */
export interface KeyedHooks<Item, Key, Batch> {
  /** Required: the key of an item. Keys are compared as those of a `Map`. If it throws, the item is refused. */
  key?(item: Item): Key;
  /** Makes the state of a new batch, at its first item. Default: that of a `MemoryBatcher`. */
  batchInit?(options: Options<Item, Batch>, key: Key): Awaitable<Batch>;
  /** Called before each attempt; may return another state for flush and postFlush. */
  batchPreFlush?(batch: Batch, context: KeyedContext<Key>): Awaitable<Batch | void>;
  /** Required: delivers. If it fails the batch is kept and tried again. */
  batchFlush?(batch: Batch, context: KeyedContext<Key>): Awaitable<unknown>;
  /** Called after a successful flush. If it fails the batch still counts as delivered, and only this is tried again. */
  batchPostFlush?(batch: Batch, context: KeyedContext<Key>): Awaitable<unknown>;
  /** With `giveUp: 'drop'` or `'split'`: takes over a batch that is given up. */
  batchDeadLetter?(batch: Batch, error: unknown, key: Key): Awaitable<unknown>;
  /** At close: once for every batch that was not delivered, or once with `undefined` if there is none. */
  batchTerminate?(batch: Batch | undefined, key: Key | undefined): Awaitable<unknown>;
}

type Nullable<T> = { [Name in keyof T]: T[Name] | null };

/** Options of a `KeyedBatcher`: those of its collectors, and those of the keys. All times are milliseconds. */
export interface KeyedBatcherOptions<Item, Key, Batch = MemoryBatch<Item>>
  extends Omit<Options<Item, Batch>, keyof KeyedHooks<Item, Key, Batch>>, Nullable<KeyedHooks<Item, Key, Batch>> {
  /**
   * Keys that are kept at the same time. An idle key makes room for a new one; when all are busy, an item of a new key
   * is an overflow, as `overflow` says.
   *
   * @default off
   */
  maxKeys?: number | null | undefined;
  /**
   * Milliseconds after which a key without pending items is removed.
   *
   * @default 60_000
   */
  idleTimeout?: number | null | undefined;
  /**
   * Batches of one key that are delivered at the same time; `flushConcurrency` is the limit over all keys. The order of
   * a key's batches is kept only with 1.
   *
   * @default 1
   */
  keyConcurrency?: number | null | undefined;
  /**
   * Makes a key's collector. Spread the options into its own: they hold the triggers, the hooks with the key, and
   * what `flushConcurrency` over all keys needs.
   *
   * @default a MemoryBatcher
   */
  batcher?: ((key: Key, options: Options<Item, Batch>) => KeyCollector<Item, Batch>) | null | undefined;
}

/** A collector of any kind. */
export type KeyCollector<Item, Batch> = Pick<
  BatchPlease<Item, Batch>,
  | 'addItem'
  | 'syncAddItem'
  | 'deliverItem'
  | 'flush'
  | 'close'
  | 'clear'
  | 'pause'
  | 'resume'
  | 'configure'
  | 'on'
  | 'state'
>;

/** The options that `configure` changes: those of the collectors, and those of the keys. */
export type KeyedChanges = ChangeableOptions & {
  maxKeys?: number | null | undefined;
  idleTimeout?: number | null | undefined;
  keyConcurrency?: number | null | undefined;
};

type Forwarded = 'flushed' | 'failed' | 'held' | 'dropped';

/** The events of a collector, each with the key of its batch. */
export type KeyedEvents<Item, Key, Batch = unknown> = {
  [Name in Forwarded]: BatchPleaseEvents<Item, Batch>[Name] & { key: Key };
} & {
  /** `key` is `undefined` where the item's key could not be determined. */
  refused: BatchPleaseEvents<Item>['refused'] & { key: Key | undefined };
  /** Nothing is pending any more over all keys; the last that was pending had this key. */
  drained: { key: Key };
  closed: BatchPleaseEvents<Item>['closed'];
};

/** The options in force. */
export interface KeyedConfig extends BatchPleaseConfig {
  /** Keys that are kept at the same time. */
  readonly maxKeys: number;
  /** Milliseconds after which an idle key is removed. */
  readonly idleTimeout: number;
  /** Batches of one key in delivery at the same time. */
  readonly keyConcurrency: number;
}

/** A live view of all keys together; `of` is that of one key. */
export interface KeyedState<Item, Key, Batch> {
  /** The options in force. */
  readonly config: KeyedConfig;
  /** Counts over all keys, the removed ones included. Each read adds up the keys. */
  readonly counts: BatchPleaseState<Item, Batch>['counts'];
  /** Items accepted and not settled, over all keys. */
  readonly pending: number;
  /** Items accepted and not in flight, over all keys. */
  readonly waiting: number;
  /** The batches in delivery, and their items. */
  readonly inFlight: { readonly batches: number; readonly items: number };
  /** Whether `pause()` is in force. */
  readonly paused: boolean;
  /** Sealed batches that are not settled, key by key; a new list at each read. */
  readonly batches: readonly (BatchView & { key: Key })[];
  /** The keys that are kept; a new list at each read. */
  readonly keys: readonly Key[];
  /** The state of that key's collector; `undefined` if the key is not kept. */
  of(key: Key): BatchPleaseState<Item, Batch> | undefined;
}

/** Options of `flush`. */
export interface KeyedFlushOptions<Key> extends FlushOptions {
  /** Only the batches of this key. */
  key?: Key;
}

/** Options of `clear`. */
export interface KeyedClearOptions<Key> {
  /** Only the batches of this key. */
  key?: Key;
}
