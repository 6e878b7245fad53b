// What DataLoader does, on a serving: loads of one turn of the event loop share a batch, and each key is loaded once.
import { BatchServing, type Awaitable } from 'batch-please';

export class DataLoader<Key, Value> {
  readonly #cache = new Map<Key, Promise<Value>>();
  readonly #serving: BatchServing<Key, Value>;

  constructor(loadBatch: (keys: readonly Key[]) => Awaitable<readonly (Value | Error)[]>, maxBatchSize = 1000) {
    this.#serving = new BatchServing({ batchSize: maxBatchSize, batchTimeout: 0, handleBatch: loadBatch });
  }

  load(key: Key): Promise<Value> {
    let value = this.#cache.get(key);
    if (value === undefined) {
      value = this.#serving.dispatch(key);
      this.#cache.set(key, value);
    }
    return value;
  }

  /** An `Error` in place of each value that could not be loaded. */
  loadMany(keys: readonly Key[]): Promise<(Value | Error)[]> {
    return Promise.all(keys.map((key) => this.load(key).catch((error: unknown) => error as Error)));
  }

  clear(key: Key): this {
    this.#cache.delete(key);
    return this;
  }

  prime(key: Key, value: Value): this {
    if (!this.#cache.has(key)) this.#cache.set(key, Promise.resolve(value));
    return this;
  }
}
