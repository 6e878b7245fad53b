// dataloader's interface and documented behaviour on a BatchServing; README.md says what differs.
import type { BatchLoadFn, Options } from 'dataloader'; // its types alone
import { BatchServing } from 'batch-please';
import { type Given, callLoader, checkKey, checkKeys, readOptions } from './options.js';

type Frame = { size: number; started: boolean; hits: (() => void)[] }; // the keys of one batch, and cached loads with it

export class DataLoader<Key, Value, CacheKey = Key> {
  readonly name: string | null;
  readonly #given: Given<Key, Value, CacheKey>;
  readonly #serving: BatchServing<Key, Value>;
  #frame: Frame = { size: 0, started: true, hits: [] };

  constructor(loadBatch: BatchLoadFn<Key, Value>, options: Options<Key, Value, CacheKey> = {}) {
    this.name = (this.#given = readOptions(loadBatch, options)).name;
    this.#serving = new BatchServing({
      batchSize: this.#given.batchSize,
      batchTimeout: Infinity, // a batch that is not full is cut by its schedule
      partitions: Infinity, // batches run side by side, also those that a batch waits for
      handleBatch: (keys: readonly Key[]) => this.#execute(keys, loadBatch, this.#frame),
    });
  }

  load(key: Key): Promise<Value> {
    checkKey(key);
    const { cache, cacheKeyFn, batchSize } = this.#given;
    if (this.#frame.started || this.#frame.size >= batchSize) this.#openFrame();
    const cacheKey = cache ? cacheKeyFn(key) : (undefined as never);
    const cached = cache?.get(cacheKey);
    if (cached) return new Promise((resolve) => this.#frame.hits.push(() => resolve(cached)));
    this.#frame.size++;
    const value = this.#serving.dispatch(key);
    cache?.set(cacheKey, value);
    return value;
  }

  loadMany(keys: ArrayLike<Key>): Promise<(Value | Error)[]> {
    return Promise.all(checkKeys(keys).map((key) => this.load(key).catch((error: unknown) => error as Error)));
  }

  clear(key: Key): this {
    this.#given.cache?.delete(this.#given.cacheKeyFn(key));
    return this;
  }

  clearAll(): this {
    this.#given.cache?.clear();
    return this;
  }

  prime(key: Key, value: Value | PromiseLike<Value> | Error): this {
    const { cache, cacheKeyFn } = this.#given;
    if (!cache || cache.get(cacheKeyFn(key)) !== undefined) return this;
    const primed = value instanceof Error ? Promise.reject<Value>(value) : Promise.resolve(value);
    if (value instanceof Error) primed.catch(() => undefined); // primed on purpose: never unhandled
    cache.set(cacheKeyFn(key), primed);
    return this;
  }

  #openFrame(): void {
    const frame: Frame = (this.#frame = { size: 0, started: false, hits: [] });
    this.#given.batchScheduleFn(() => {
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
