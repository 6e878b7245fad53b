import { onAbort } from './abort.js';
import { type BatchedOptions, type Limits, readLimits } from './options.js';
import { type Batchable, type Source, checkSource, open } from './source.js';

/** Beyond this setTimeout fires after one millisecond. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Makes lists of the items of any iterable, async iterable or `ReadableStream`. While one list is in use the next one is
 * read, and no more. Leaving early ends the source. An error of the source comes after the items that were read before it.
 *
 * @throws `OptionsError`
 *
 * @example
 * for await (const rows of batched(lines, { maxBatchSize: 1000, maxTimeSinceFirstItem: 200 })) await insert(rows);
 */
export function batched<Item>(
  source: Batchable<Item>,
  options: BatchedOptions<Item> = {},
): AsyncIterableIterator<Item[]> {
  checkSource(source);
  return new Batches(source, readLimits(options));
}

interface Waiter<Item> {
  resolve: (result: IteratorResult<Item[], undefined>) => void;
  reject: (error: unknown) => void;
}

/** Reads only while no list waits to be taken: so at most one list and the item that did not fit into it are held. */
class Batches<Item> implements AsyncIterableIterator<Item[]> {
  #source: Source<Item> | undefined;
  #items: Item[] = [];
  #weight = 0;
  #openedAt = 0;
  readonly #lists: Item[][] = [];
  readonly #waiters: Waiter<Item>[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reading = false;
  #ended = false;
  #failure: { error: unknown } | undefined;
  #stopListening: (() => void) | undefined;

  readonly #from: Batchable<Item>;
  readonly #limits: Limits<Item>;

  constructor(from: Batchable<Item>, limits: Limits<Item>) {
    this.#from = from;
    this.#limits = limits;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item[], undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#begin();
      this.#serve();
    });
  }

  async return(): Promise<IteratorResult<Item[], undefined>> {
    await this.#leave();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<Item[], undefined>> {
    await this.#leave();
    throw error;
  }

  /** At the first `next`: what is never iterated over holds nothing. */
  #begin(): void {
    if (this.#source !== undefined || this.#ended) return;
    const { signal } = this.#limits;
    if (signal?.aborted === true) {
      this.#end({ error: signal.reason });
      return;
    }
    try {
      this.#source = open(this.#from);
      if (signal !== undefined) this.#stopListening = onAbort(signal, this.#abort);
    } catch (error) {
      this.#end({ error });
    }
  }

  /** Gives lists to those who wait, and reads on. */
  #serve(): void {
    for (;;) {
      while (this.#waiters.length > 0 && this.#lists.length > 0) {
        this.#waiters.shift()?.resolve({ done: false, value: this.#lists.shift() ?? [] });
      }
      if (this.#ended) {
        if (this.#lists.length === 0) this.#finish();
        return;
      }
      if (this.#reading || this.#lists.length > 0) return;
      this.#read();
    }
  }

  #finish(): void {
    for (const { resolve, reject } of this.#waiters.splice(0)) {
      const failure = this.#failure;
      this.#failure = undefined; // thrown once
      if (failure === undefined) resolve({ done: true, value: undefined });
      else reject(failure.error);
    }
  }

  /** One read; on return a synchronous source has given its item. */
  #read(): void {
    this.#reading = true;
    try {
      const result = this.#source?.next();
      if (isPromise(result)) {
        result.then(
          (value) => {
            this.#took(value);
            this.#serve();
          },
          (error: unknown) => {
            this.#end({ error });
            this.#serve();
          },
        );
      } else this.#took(result);
    } catch (error) {
      this.#end({ error });
    }
  }

  #took(result: IteratorResult<Item, unknown> | undefined): void {
    this.#reading = false;
    if (this.#ended) return; // it was left meanwhile
    try {
      this.#look(result);
    } catch (error) {
      this.#end({ error });
    }
  }

  #look(result: IteratorResult<Item, unknown> | null | undefined): void {
    // Checked, since iterators are written by hand too.
    if (typeof (result as unknown) !== 'object' || result == null) {
      this.#end({ error: new TypeError('batched: the source answered with something that is no object') });
    } else if (result.done === true) this.#end(undefined);
    else this.#add(result.value);
  }

  #add(item: Item): void {
    const { size, weight, weigh, age } = this.#limits;
    let itemWeight = 0;
    try {
      if (weigh !== undefined) itemWeight = checkWeight(weigh(item));
    } catch (error) {
      this.#end({ error });
      void quietly(this.#source?.end.bind(this.#source));
      return;
    }
    if (this.#items.length > 0 && this.#weight + itemWeight > weight) this.#seal();
    if (this.#items.length === 0 && age < Infinity) {
      this.#openedAt = performance.now();
      this.#timer = setTimeout(this.#aged, Math.min(age, LONGEST_TIMER));
    }
    this.#items.push(item);
    this.#weight += itemWeight;
    const full = this.#items.length >= size || this.#weight >= weight;
    // The clock as well: a source that never lets the event loop turn lets no timer fire.
    if (full || (age < Infinity && performance.now() - this.#openedAt >= age)) this.#seal();
  }

  readonly #aged = (): void => {
    this.#timer = undefined;
    if (performance.now() - this.#openedAt < this.#limits.age - 1 && this.#limits.age > LONGEST_TIMER) {
      this.#timer = setTimeout(this.#aged, LONGEST_TIMER);
      return;
    }
    this.#seal();
    this.#serve();
  };

  #seal(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#items.length === 0) return;
    this.#lists.push(this.#items);
    this.#items = [];
    this.#weight = 0;
  }

  /** No item comes any more; what has come is still handed on. */
  #end(failure: { error: unknown } | undefined): void {
    this.#reading = false;
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#seal();
    this.#stopListening?.();
  }

  readonly #abort = (): void => {
    this.#discard({ error: this.#limits.signal?.reason });
    void quietly(this.#source?.end.bind(this.#source));
    this.#serve();
  };

  #discard(failure: { error: unknown } | undefined): void {
    this.#end(failure);
    this.#lists.length = 0;
  }

  async #leave(): Promise<void> {
    const running = this.#source !== undefined && !this.#ended;
    const reading = this.#reading;
    this.#discard(undefined);
    this.#failure = undefined;
    this.#finish();
    if (!running) return;
    // A generator that is being read ends after that read, which may never answer.
    if (reading) void quietly(this.#source?.end.bind(this.#source));
    else await this.#source?.end();
  }
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as Partial<PromiseLike<T>> | null | undefined)?.then === 'function';
}

function checkWeight(weight: unknown): number {
  if (typeof weight === 'number' && weight >= 0) return weight;
  throw new TypeError(`batched: weigh must return a number from 0 up, and returned ${String(weight)}`);
}

/** No caller waits for it, so its failure has no receiver. */
async function quietly(end: (() => unknown) | undefined): Promise<void> {
  try {
    await end?.();
  } catch {
    // The iteration has its outcome already.
  }
}
