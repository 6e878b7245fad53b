// dataloader's interface and documented behaviour on a BatchServing; README.md says what differs.
import type { BatchLoadFn, Options } from 'dataloader'; // its types alone
import { BatchServing } from 'batch-please';
import { type Given, checkKey, checkKeys, readOptions } from './arguments.js';
import { type Frame, type Load, settleLoads } from './batch-function.js';

export class DataLoader<Key, Value, CacheKey = Key> {
  readonly name: string | null;
  readonly #given: Given<Key, Value, CacheKey>;
  readonly #serving: BatchServing<Load<Key, Value>, unknown>;
  #last: Frame = { size: 0, due: true, hits: [] }; // its batch may be open

  constructor(loadBatch: BatchLoadFn<Key, Value>, options?: Options<Key, Value, CacheKey>) {
    this.name = (this.#given = readOptions(this, loadBatch, options)).name;
    this.#serving = new BatchServing({
      batchSize: this.#given.batchSize,
      batchTimeout: Infinity, // a batch that is not full is cut by its schedule
      partitions: Infinity, // batches run side by side, also those that a batch waits for
      handleBatch: (loads) =>
        new Promise((done) => (this.#last.begin = () => done(settleLoads(this, loadBatch, loads)))),
    });
  }

  load(key: Key): Promise<Value> {
    checkKey(key);
    const { cache, cacheKeyFn, batchSize } = this.#given;
    const frame = this.#last.due || this.#last.size >= batchSize ? this.#openFrame() : this.#last;
    const cacheKey = cache ? cacheKeyFn(key) : (undefined as never);
    const cached = cache?.get(cacheKey);
    if (cached) return new Promise((resolve) => frame.hits.push(() => resolve(cached))); // together with its frame
    frame.size++;
    const value = new Promise<Value>((resolve, reject) => {
      this.#serving.dispatch({ key, frame, resolve, reject }).catch(reject);
    });
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
    const cacheKey = cache ? cacheKeyFn(key) : (undefined as never);
    if (!cache || cache.get(cacheKey) !== undefined) return this;
    const primed = value instanceof Error ? Promise.reject<Value>(value) : Promise.resolve(value);
    if (value instanceof Error) primed.catch(() => undefined); // primed on purpose: never unhandled
    cache.set(cacheKey, primed);
    return this;
  }

  #openFrame(): Frame {
    const frame: Frame = { size: 0, due: false, hits: [] };
    this.#given.batchScheduleFn(() => {
      if (frame.due) return;
      frame.due = true;
      if (frame.size === 0) for (const hit of frame.hits) hit();
      else if (!frame.begin) void this.#serving.flush(); // a full batch was cut before
      frame.begin?.();
    });
    return (this.#last = frame);
  }
}
