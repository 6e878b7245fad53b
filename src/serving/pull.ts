import { type Clock, endOfTurn } from '../core/clock.js';

/** After so many values, or a window of them if that is more, the event loop gets a turn. */
const FEWEST_PER_TURN = 64;

/** Reads an async iterable with bounded look-ahead. */
export class Pull {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #window: number;
  readonly #clock: Clock;
  /** Values that are accepted, and not settled or read. */
  #ahead = 0;
  #wake: (() => void) | undefined;
  #stopped = false;

  constructor(source: AsyncIterable<unknown>, window: number, clock: Clock) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#window = window;
    this.#clock = clock;
  }

  /**
   * Hands over each value, waiting for its place, until the source ends, fails or is stopped. `take` says for how many
   * values it stands.
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
        // A source that answers at once and a handler that does too would never let anybody else have a turn.
        if (++read % perTurn === 0) await new Promise<void>((resolve) => endOfTurn(this.#clock, resolve));
      }
      return undefined;
    } catch (error) {
      return { error };
    }
  }

  /** A method, since it changes while the loop waits. */
  #isStopped(): boolean {
    return this.#stopped;
  }

  async #next(): Promise<IteratorResult<unknown>> {
    try {
      return await this.#iterator.next();
    } catch (error) {
      // One that has failed, like one that has ended, is not to be closed.
      this.#stopped = true;
      throw error;
    }
  }

  /** So many values are settled, or read. */
  credit(count: number): void {
    this.#ahead -= count;
    if (this.#ahead < this.#window) this.#awake();
  }

  /** Reads no more, and tells the source so. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#awake();
    try {
      // It may wait for a value that never comes; nobody waits for it.
      Promise.resolve(this.#iterator.return?.()).then(undefined, () => undefined);
    } catch {
      // It has its own troubles; the caller has gone.
    }
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
