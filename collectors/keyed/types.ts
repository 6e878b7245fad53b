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

/** What a flush hook is given besides its batch. */
export interface KeyedContext<Key> extends FlushContext {
  /** The key of all items in the batch. */
  readonly key: Key;
}

type Options<Item, Batch> = BatchPleaseOptions<Item, Batch>;

/** Hooks that are given the key as well. Each is a method to override, or an option of the same name, which wins. */
export interface KeyedHooks<Item, Key, Batch> {
  /** Required: the key of an item. Keys are compared as those of a `Map`. If it throws, the item is refused. */
  key?(item: Item): Key;
  batchInit?(options: Options<Item, Batch>, key: Key): Awaitable<Batch>;
  batchPreFlush?(batch: Batch, context: KeyedContext<Key>): Awaitable<Batch | void>;
  /** Required: delivers. If it fails the batch is kept and tried again. */
  batchFlush?(batch: Batch, context: KeyedContext<Key>): Awaitable<unknown>;
  batchPostFlush?(batch: Batch, context: KeyedContext<Key>): Awaitable<unknown>;
  batchDeadLetter?(batch: Batch, error: unknown, key: Key): Awaitable<unknown>;
  /** At close: once for every batch that was not delivered, or once with `undefined` if there is none. */
  batchTerminate?(batch: Batch | undefined, key: Key | undefined): Awaitable<unknown>;
}

type Nullable<T> = { [Name in keyof T]: T[Name] | null };

export interface KeyedBatcherOptions<Item, Key, Batch = MemoryBatch<Item>>
  extends Omit<Options<Item, Batch>, keyof KeyedHooks<Item, Key, Batch>>, Nullable<KeyedHooks<Item, Key, Batch>> {
  /**
   * Keys that are kept at the same time. An idle key makes room for a new one; when all are busy, an item of a new key
   * is an overflow, as `overflow` says.
   *
   * @default none
   */
  maxKeys?: number | null | undefined;
  /**
   * Milliseconds after which a key without pending items is given up.
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

/** What `configure` changes: the collectors' options, and those of the keys. */
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

export interface KeyedConfig extends BatchPleaseConfig {
  readonly maxKeys: number;
  readonly idleTimeout: number;
  readonly keyConcurrency: number;
}

/** A live view of all keys together; `of` is that of one key. */
export interface KeyedState<Item, Key, Batch> {
  readonly config: KeyedConfig;
  /** Over all keys, those that are gone included. Adds up the keys at the look. */
  readonly counts: BatchPleaseState<Item, Batch>['counts'];
  /** Items accepted and not settled, over all keys. */
  readonly pending: number;
  /** Items accepted and not in flight, over all keys. */
  readonly waiting: number;
  readonly inFlight: { readonly batches: number; readonly items: number };
  readonly paused: boolean;
  /** Sealed batches that are not settled, key by key; a list made at the look. */
  readonly batches: readonly (BatchView & { key: Key })[];
  /** The keys that are kept; a list made at the look. */
  readonly keys: readonly Key[];
  /** The state of that key's collector; `undefined` if the key is not kept. */
  of(key: Key): BatchPleaseState<Item, Batch> | undefined;
}

export interface KeyedFlushOptions<Key> extends FlushOptions {
  /** Only the batches of this key. */
  key?: Key;
}

export interface KeyedClearOptions<Key> {
  /** Only the batches of this key. */
  key?: Key;
}
