import { BatchServing } from './batch-serving.js';
import type { PlainOptions, ServingCloseOptions } from './types.js';
import { ClosedError } from '../errors.js';
import { type Clock, LONGEST_TIMER, systemClock } from '../core/clock.js';

interface Closable {
  readonly state: { readonly pending: number };
  close(options?: ServingCloseOptions): Promise<void>;
}

export interface ServingPoolOptions {
  /** How long a serving may have nothing to do before it is closed, in milliseconds; 60,000 by default. */
  idleTimeout?: number | null | undefined;
  clock?: Clock | null | undefined;
}

/** Servings by key, each made when it is first asked for, and closed when it has had nothing to do for a while. */
export interface ServingPool<Key, Serving> {
  /** To be used at once, and asked for again the next time: an idle one is closed. */
  get(key: Key): Serving;
  /** How many there are. */
  readonly size: number;
  /** Closes all of them; it makes no more. */
  close(options?: ServingCloseOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function servingPool<Key, In, Out, State = undefined, Hook extends string = never, Runtime = unknown>(
  make: (key: Key) => PlainOptions<In, Out, State, Hook, Runtime>,
  options?: ServingPoolOptions,
): ServingPool<Key, BatchServing<In, Out, State, Hook, Runtime>>;
/** The same with servings that you make yourself. */
export function servingPool<Key, Serving extends Closable>(
  make: (key: Key) => Serving,
  options?: ServingPoolOptions,
): ServingPool<Key, Serving>;
export function servingPool<Key>(
  make: (key: Key) => object,
  options: ServingPoolOptions = {},
): ServingPool<Key, Closable> {
  return new Pool((key: Key): Closable => {
    const made = make(key);
    return isServing(made) ? made : new BatchServing(made);
  }, options);
}

function isServing(made: object): made is Closable {
  return typeof (made as Partial<Closable>).close === 'function';
}

class Pool<Key> implements ServingPool<Key, Closable> {
  readonly #make: (key: Key) => Closable;
  readonly #idleTimeout: number;
  readonly #clock: Clock;
  readonly #servings = new Map<Key, { serving: Closable; usedAt: number }>();
  #timer: { handle: unknown } | undefined;
  #closed: Promise<void> | undefined;
  /** Idle ones on their way out. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(make: (key: Key) => Closable, { idleTimeout, clock }: ServingPoolOptions) {
    this.#make = make;
    this.#idleTimeout = idleTimeout ?? 60_000;
    this.#clock = clock ?? systemClock;
  }

  get size(): number {
    return this.#servings.size;
  }

  get(key: Key): Closable {
    if (this.#closed !== undefined) throw new ClosedError('the pool of servings is closed');
    let entry = this.#servings.get(key);
    if (entry === undefined) {
      entry = { serving: this.#make(key), usedAt: 0 };
      this.#servings.set(key, entry);
    }
    entry.usedAt = this.#clock.now();
    this.#look(this.#idleTimeout);
    return entry.serving;
  }

  close(options?: ServingCloseOptions): Promise<void> {
    this.#closed ??= this.#closeAll(options);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #closeAll(options: ServingCloseOptions | undefined): Promise<void> {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer.handle);
    const closing = [...this.#servings.values()].map(({ serving }) => serving.close(options));
    this.#servings.clear();
    const outcomes = await Promise.allSettled([...closing, ...this.#leaving]);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) await Promise.reject(failed.reason);
  }

  /** One timer for all, set when it is needed, that keeps no process alive. */
  #look(wait: number): void {
    if (this.#timer !== undefined || this.#idleTimeout === Infinity) return;
    const handle = this.#clock.setTimer(
      () => {
        this.#timer = undefined;
        this.#sweep();
      },
      Math.min(Math.ceil(wait), LONGEST_TIMER),
    );
    (handle as { unref?: () => void } | undefined)?.unref?.();
    this.#timer = { handle };
  }

  #sweep(): void {
    const now = this.#clock.now();
    let next = Infinity;
    for (const [key, entry] of this.#servings) {
      // One that works is used.
      if (entry.serving.state.pending > 0) entry.usedAt = now;
      if (entry.usedAt + this.#idleTimeout > now) {
        next = Math.min(next, entry.usedAt + this.#idleTimeout);
        continue;
      }
      this.#servings.delete(key);
      const left = entry.serving.close();
      this.#leaving.add(left);
      const gone = (): unknown => this.#leaving.delete(left);
      left.then(gone, gone);
    }
    if (next < Infinity) this.#look(next - now);
  }
}
