import { type Clock, endOfTurn } from '../core/clock.js';
import { RESOLVED } from '../core/promise.js';

/** The event loop gets a turn after so many values, or after a window of them if that is more. */
const FEWEST_PER_TURN = 64;

/** Reads an async iterable with bounded look-ahead. */
export class Pull {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #window: number;
  readonly #clock: Clock;
  /** Values accepted, and not settled (list) or read (stream). */
  #ahead = 0;
  #wake: (() => void) | undefined;
  #stopped = false;

  constructor(source: AsyncIterable<unknown>, window: number, clock: Clock) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#window = window;
    this.#clock = clock;
  }

  /**
   * Passes each value to `take`, until the source ends, fails or is stopped. `take` resolves when the value is accepted,
   * to the number of values it was mapped to.
   */
  async read(take: (value: unknown) => Promise<number>): Promise<{ error: unknown } | undefined> {
    const perTurn = Math.max(this.#window, FEWEST_PER_TURN);
    let read = 0;
    try {
      while (!this.#isStopped()) {
        if (this.#ahead >= this.#window) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          continue;
        }
        const next = await this.#next();
        if (this.#isStopped()) break;
        if (next.done === true) {
          this.#stopped = true;
          break;
        }
        // In two steps: some of them may be settled before all are taken.
        const count = await take(next.value);
        this.#ahead += count;
        // A source and a handler that both answer at once would otherwise block the event loop.
        if (++read % perTurn === 0) await new Promise<void>((resolve) => endOfTurn(this.#clock, resolve));
      }
      return undefined;
    } catch (error) {
      return { error };
    }
  }

  /** A method: TypeScript would take the field for unchanged while the loop waits. */
  #isStopped(): boolean {
    return this.#stopped;
  }

  async #next(): Promise<IteratorResult<unknown>> {
    try {
      const next: unknown = await this.#iterator.next();
      // As `for await` does.
      if (typeof next !== 'object' || next === null)
        throw new TypeError(`iterator result ${String(next)} is not an object`);
      return next as IteratorResult<unknown>;
    } catch (error) {
      // An iterator that has failed or ended is not closed.
      this.#stopped = true;
      throw error;
    }
  }

  /** So many values were settled (list) or read (stream). */
  credit(count: number): void {
    this.#ahead -= count;
    if (this.#ahead < this.#window) this.#awake();
  }

  /** Reads no more, and calls `return()` of the source, in a microtask: that is user code, and may call the serving. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#awake();
    // Its failure is dropped: the caller has left.
    RESOLVED.then(() => this.#iterator.return?.()).then(undefined, () => undefined);
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
