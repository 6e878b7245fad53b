// dataloader's interface and documented behaviour on a BatchServing; README.md says what differs.
import type { BatchLoadFn, CacheMap, Options } from 'dataloader'; // its types alone
import { BatchServing } from 'batch-please';
import { callLoader, checkArguments, checkKey, checkKeys } from './checks.js';
import { afterPromiseJobs } from './schedule.js';

/** Keys that were loaded in one frame, and cached loads that wait for them. */
type Frame = { size: number; started: boolean; hits: (() => void)[] };

export class DataLoader<Key, Value, CacheKey = Key> {
  readonly name: string | null;
  readonly #cache: CacheMap<CacheKey, Promise<Value>> | null;
  readonly #cacheKey: (key: Key) => CacheKey;
  readonly #schedule: (dispatch: () => void) => void;
  readonly #batchSize: number;
  readonly #serving: BatchServing<Key, Value>;
  #frame: Frame = { size: 0, started: true, hits: [] };

  constructor(loadBatch: BatchLoadFn<Key, Value>, options: Options<Key, Value, CacheKey> = {}) {
    checkArguments(loadBatch, options);
    const { batch, maxBatchSize = Infinity, cache, cacheMap, cacheKeyFn, batchScheduleFn, name } = options;
    this.name = name || null; // as in dataloader, an empty name is none
    this.#cache = cache === false ? null : cacheMap === undefined ? new Map<CacheKey, Promise<Value>>() : cacheMap;
    this.#cacheKey = cacheKeyFn ?? ((key) => key as unknown as CacheKey);
    this.#schedule = batchScheduleFn ?? afterPromiseJobs;
    this.#batchSize = batch === false ? 1 : Math.ceil(maxBatchSize);
    this.#serving = new BatchServing({
      batchSize: this.#batchSize,
      batchTimeout: Infinity, // a batch that is not full is cut by its schedule
      partitions: Infinity, // batches run side by side, also those that a batch waits for
      handleBatch: (keys: readonly Key[]) => this.#execute(keys, loadBatch, this.#frame),
    });
  }

  load(key: Key): Promise<Value> {
    checkKey(key);
    if (this.#frame.started || this.#frame.size >= this.#batchSize) this.#openFrame();
    const frame = this.#frame;
    const cacheKey = this.#cache ? this.#cacheKey(key) : (undefined as never);
    const cached = this.#cache?.get(cacheKey);
    if (cached) return new Promise((resolve) => frame.hits.push(() => resolve(cached)));
    frame.size++;
    const value = this.#serving.dispatch(key);
    this.#cache?.set(cacheKey, value);
    return value;
  }

  loadMany(keys: ArrayLike<Key>): Promise<(Value | Error)[]> {
    checkKeys(keys);
    return Promise.all(Array.from(keys, (key) => this.load(key).catch((error: unknown) => error as Error)));
  }

  clear(key: Key): this {
    this.#cache?.delete(this.#cacheKey(key));
    return this;
  }

  clearAll(): this {
    this.#cache?.clear();
    return this;
  }

  prime(key: Key, value: Value | PromiseLike<Value> | Error): this {
    if (!this.#cache || this.#cache.get(this.#cacheKey(key)) !== undefined) return this;
    const primed = value instanceof Error ? Promise.reject<Value>(value) : Promise.resolve(value);
    if (value instanceof Error) primed.catch(() => undefined); // primed on purpose: never unhandled
    this.#cache.set(this.#cacheKey(key), primed);
    return this;
  }

  #openFrame(): void {
    const frame: Frame = (this.#frame = { size: 0, started: false, hits: [] });
    this.#schedule(() => {
      if (!frame.started && frame.size > 0) void this.#serving.flush();
      else if (!frame.started) for (const hit of frame.hits) hit();
      frame.started = true;
    });
  }

  async #execute(keys: readonly Key[], loadBatch: BatchLoadFn<Key, Value>, frame: Frame): Promise<(Value | Error)[]> {
    frame.started = true;
    try {
      return await callLoader(this, loadBatch, keys);
    } catch (error) {
      for (const key of keys) this.clear(key); // only the errors of single keys are cached
      throw error;
    } finally {
      for (const hit of frame.hits) hit();
    }
  }
}
