import { BatchServing, isBusy, isClosed } from './batch-serving.js';
import type { MapsBoth, MapsInputs, MapsResults, PlainOptions, ServingCloseOptions } from './types.js';
import { ClosedError } from '../errors.js';
import { Alarm, type Clock, SafeClock, systemClock } from '../core/clock.js';
import { Deferred, ignorableRejection } from '../core/promise.js';
import { checkPoolOptions } from '../options/serving.js';
import { checkVerbOptions } from '../options/verbs.js';

interface Closable {
  readonly state: { readonly pending: number };
  close(options?: ServingCloseOptions): Promise<void>;
}

/** Options of `servingPool`. */
export interface ServingPoolOptions {
  /**
   * How long a serving may have nothing to do before it is closed, in milliseconds. `Infinity`: for ever.
   * @default 60_000
   */
  idleTimeout?: number | null | undefined;
  /**
   * Where the pool gets its time from.
   * @default the system's clock
   */
  clock?: Clock | null | undefined;
}

/** Servings by key, each made at its first use, and closed after `idleTimeout` without work. */
export interface ServingPool<Key, Serving> {
  /**
   * The key's serving, made at the first `get`, and again after it was closed, by `delete` or by hand. Call `get` for
   * each use: an idle serving is closed.
   * @throws ClosedError after `close`; what `make` throws, for example `OptionsError`
   */
  get(key: Key): Serving;
  /**
   * Takes the serving out of the pool and closes it; the next `get` makes a new one at once, while this one drains.
   * Resolves when it is closed, to `false` if there was none. Rejects as its `close` does; the promise may be ignored.
   */
  delete(key: Key, options?: ServingCloseOptions): Promise<boolean>;
  /** How many servings the pool holds. */
  readonly size: number;
  /**
   * Closes all of them, those that drain included, and makes no more. Rejects as their `close` does; the promise may be
   * ignored.
   */
  close(options?: ServingCloseOptions): Promise<void>;
  /** Calls `close()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes a pool of servings from the options that `make` returns.
 * @throws OptionsError for wrong options of the pool; those of a serving are checked at `get`
 * @example
 * const models = servingPool((model: string) => ({ batchSize: 32, handleBatch: (texts: string[]) => embed(model, texts) }));
 * await models.get('small').dispatch('text');
 */
export function servingPool<Key, In, Out, State = undefined, Hook extends string = never, Runtime = unknown>(
  make: (key: Key) => PlainOptions<In, Out, State, Hook, Runtime>,
  options?: ServingPoolOptions,
): ServingPool<Key, BatchServing<In, Out, State, Hook, Runtime>>;
/** Makes a pool of servings that map their inputs. */
export function servingPool<Key, In, Out, Mapped, State = undefined, Hook extends string = never, Runtime = unknown>(
  make: (key: Key) => MapsInputs<In, Out, State, Hook, Runtime, Mapped>,
  options?: ServingPoolOptions,
): ServingPool<Key, BatchServing<In, Out, State, Hook, Runtime, Mapped>>;
/** Makes a pool of servings that map their results. */
export function servingPool<Key, In, Out, Raw, State = undefined, Hook extends string = never, Runtime = unknown>(
  make: (key: Key) => MapsResults<In, Out, State, Hook, Runtime, Raw>,
  options?: ServingPoolOptions,
): ServingPool<Key, BatchServing<In, Out, State, Hook, Runtime, In, Raw>>;
/** Makes a pool of servings that map inputs and results. */
export function servingPool<
  Key,
  In,
  Out,
  Mapped,
  Raw,
  State = undefined,
  Hook extends string = never,
  Runtime = unknown,
>(
  make: (key: Key) => MapsBoth<In, Out, State, Hook, Runtime, Mapped, Raw>,
  options?: ServingPoolOptions,
): ServingPool<Key, BatchServing<In, Out, State, Hook, Runtime, Mapped, Raw>>;
/** Makes a pool of the servings that `make` constructs, for example of a subclass. */
export function servingPool<Key, Serving extends Closable>(
  make: (key: Key) => Serving,
  options?: ServingPoolOptions,
): ServingPool<Key, Serving>;
export function servingPool<Key>(
  make: (key: Key) => object,
  options: ServingPoolOptions = {},
): ServingPool<Key, Closable> {
  checkPoolOptions('servingPool', make, options);
  return new Pool((key: Key): Closable => {
    const made = make(key);
    return typeof (made as Partial<Closable> | null)?.close === 'function'
      ? (made as Closable)
      : new BatchServing(made);
  }, options);
}

class Pool<Key> implements ServingPool<Key, Closable> {
  readonly #make: (key: Key) => Closable;
  readonly #idleTimeout: number;
  readonly #clock: Clock;
  readonly #servings = new Map<Key, { serving: Closable; usedAt: number }>();
  readonly #alarm: Alarm;
  #armed = false;
  #closed: Promise<void> | undefined;
  /** Servings that were taken out and drain. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(make: (key: Key) => Closable, { idleTimeout, clock }: ServingPoolOptions) {
    this.#make = make;
    this.#idleTimeout = idleTimeout ?? 60_000;
    this.#clock = new SafeClock(clock ?? systemClock);
    // One timer for all servings, which does not hold the process.
    this.#alarm = new Alarm(
      this.#clock,
      (now) => {
        this.#armed = false;
        this.#sweep(now);
      },
      true,
    );
  }

  get size(): number {
    return this.#servings.size;
  }

  get(key: Key): Closable {
    if (this.#closed !== undefined) throw new ClosedError('the pool of servings is closed');
    let entry = this.#servings.get(key);
    if (entry === undefined || isClosed(entry.serving)) {
      entry = { serving: this.#make(key), usedAt: 0 };
      this.#servings.set(key, entry);
    }
    entry.usedAt = this.#clock.now();
    if (!this.#armed) this.#arm(entry.usedAt + this.#idleTimeout);
    return entry.serving;
  }

  delete(key: Key, options?: ServingCloseOptions): Promise<boolean> {
    try {
      checkVerbOptions('stop', options);
    } catch (error) {
      return ignorableRejection(error);
    }
    const entry = this.#servings.get(key);
    if (entry === undefined) return Promise.resolve(false);
    this.#servings.delete(key);
    const deleted = new Deferred<boolean>();
    deleted.resolve(this.#leave(entry.serving, options).then(() => true));
    return deleted.promise;
  }

  close(options?: ServingCloseOptions): Promise<void> {
    try {
      checkVerbOptions('stop', options);
    } catch (error) {
      return ignorableRejection(error);
    }
    if (this.#closed === undefined) {
      const closed = new Deferred();
      this.#closed = closed.promise;
      this.#alarm.set(Infinity);
      for (const { serving } of this.#servings.values()) void this.#leave(serving, options);
      this.#servings.clear();
      closed.resolve(this.#left());
    }
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #left(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#leaving);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) await Promise.reject(failed.reason as Error);
  }

  #leave(serving: Closable, options?: ServingCloseOptions): Promise<void> {
    const closing = (async () => serving.close(options))();
    this.#leaving.add(closing);
    const remove = (): void => {
      this.#leaving.delete(closing);
    };
    closing.then(remove, remove);
    return closing;
  }

  #arm(at: number): void {
    this.#armed = at < Infinity;
    this.#alarm.set(at);
  }

  #sweep(now: number): void {
    let next = Infinity;
    for (const [key, entry] of this.#servings) {
      if (isClosed(entry.serving)) {
        this.#servings.delete(key);
        continue;
      }
      // A serving that works is used.
      if (isBusy(entry.serving)) entry.usedAt = now;
      if (entry.usedAt + this.#idleTimeout > now) {
        next = Math.min(next, entry.usedAt + this.#idleTimeout);
        continue;
      }
      this.#servings.delete(key);
      void this.#leave(entry.serving);
    }
    this.#arm(next);
  }
}
