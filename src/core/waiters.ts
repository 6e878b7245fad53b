import { TimeoutError } from '../errors.js';
import { Deadlines, withoutStack } from './deadlines.js';
import { Deferred, RESOLVED, ignorableRejection } from './promise.js';

/** A pending `flush()`: resolves when everything below `position` is settled. */
class Waiter extends Deferred {
  previous: Waiter | undefined;
  next: Waiter | undefined;
  release: (() => void) | undefined;

  constructor(
    readonly position: number,
    readonly shared: boolean,
  ) {
    super();
  }

  // By adoption, which takes two microtasks: the promises of the entries (see `Outcome`) settle before.
  override resolve(): void {
    super.resolve(RESOLVED);
  }

  override reject(error: unknown): void {
    super.resolve(ignorableRejection(error));
  }
}

interface Waiting {
  readonly promise: Promise<void>;
  readonly leave: (error: unknown) => void;
}

const stays = (): void => undefined;

/** Pending `flush()` calls, in the order of their positions. Each leaves at constant cost. */
export class Waiters {
  readonly #deadlines = new Deadlines();
  #first: Waiter | undefined;
  #last: Waiter | undefined;

  get empty(): boolean {
    return this.#first === undefined;
  }

  /** When the next one times out. */
  get deadline(): number {
    return this.#deadlines.next;
  }

  /**
   * `shares`: a call without a timeout takes the promise of the last one if nothing was accepted since. One that may leave
   * before the others has a promise of its own, and a function that takes it out.
   */
  add(position: number, now: number, timeout: number, shares: boolean): Waiting {
    const last = this.#last;
    const shared = shares && timeout === Infinity;
    if (shared && last?.shared === true && last.position === position) return { promise: last.promise, leave: stays };
    const waiter = this.#append(position, now, timeout, shared);
    const leave = (error: unknown): void => {
      this.#leave(waiter, error);
    };
    return { promise: waiter.promise, leave };
  }

  /** Rejects the calls that have timed out. */
  expire(now: number): void {
    this.#deadlines.expire(now);
  }

  /** Resolves the calls for which everything is settled. */
  resolve(settled: number): void {
    for (let first = this.#first; first !== undefined && first.position <= settled; first = this.#first) {
      this.#remove(first);
      first.resolve();
    }
  }

  /**
   * Takes out the calls that cover the position. Their error is known only after user code was called; a `flush()` in
   * that code is a call of its own.
   */
  takeCovering(position: number): (error: unknown) => void {
    const taken: Waiter[] = [];
    for (let last = this.#last; last !== undefined && last.position > position; last = this.#last) {
      this.#remove(last);
      taken.push(last);
    }
    return (error) => {
      for (let i = taken.length - 1; i >= 0; i--) taken[i]?.reject(error);
    };
  }

  #append(position: number, now: number, timeout: number, shared: boolean): Waiter {
    const waiter = new Waiter(position, shared);
    if (timeout < Infinity) {
      waiter.release = this.#deadlines.add(now + timeout, () => {
        this.#leave(
          waiter,
          withoutStack(() => new TimeoutError('flush', timeout)),
        );
      });
    }
    waiter.previous = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    return waiter;
  }

  #leave(waiter: Waiter, error: unknown): void {
    this.#remove(waiter);
    waiter.reject(error);
  }

  #remove(waiter: Waiter): void {
    if (waiter.previous === undefined && this.#first !== waiter) return;
    waiter.release?.();
    if (waiter.previous === undefined) this.#first = waiter.next;
    else waiter.previous.next = waiter.next;
    if (waiter.next === undefined) this.#last = waiter.previous;
    else waiter.next.previous = waiter.previous;
    waiter.previous = waiter.next = undefined;
  }
}
