import { onAbort } from './promise.js';
import { Fifo } from './deque.js';

interface Waiting {
  size: number;
  /** A bound of another kind. */
  fits: (() => boolean) | undefined;
  enter: () => void;
  turnAway: () => void;
  leave: () => void;
}

/** A hard bound on what is pending, and those who wait for room, in the order of their arrival. */
export class Room {
  readonly #waiting = new Fifo<Waiting>();
  readonly #pending: () => number;
  readonly #demand: () => void;
  #admitting = false;
  #closed = false;

  /** Those who wait want what is pending delivered at once: whatever the open batch lacks, nobody else can bring it. */
  constructor(
    readonly limitNow: number | (() => number),
    pending: () => number,
    demand: () => void,
  ) {
    this.#pending = pending;
    this.#demand = demand;
  }

  get limit(): number {
    return typeof this.limitNow === 'number' ? this.limitNow : this.limitNow();
  }

  /** Room for `size` more; what could never fit is let in once nothing is pending. */
  has(size = 1): boolean {
    const pending = this.#pending();
    return pending + size <= this.limit || pending === 0;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get crowded(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * Demands, and calls `enter` as soon as there is room, or `turnAway` (which makes the error) if it closes before. An
   * abort before that leaves the caller out.
   */
  wait<T>(
    enter: () => Promise<T>,
    turnAway: () => Error,
    signal?: AbortSignal | null,
    size = 1,
    fits?: () => boolean,
  ): Promise<T> {
    if (this.#closed) return Promise.reject(turnAway());
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = {
        size,
        fits,
        enter: () => {
          resolve(enter());
        },
        turnAway: () => {
          reject(turnAway());
        },
        leave: () => undefined,
      };
      if (signal != null) {
        waiting.leave = onAbort(signal, () => {
          this.#waiting.remove(waiting);
          reject(signal.reason as Error);
          this.admit();
        });
      }
      this.#waiting.push(waiting);
      this.#demand();
    });
  }

  /** Lets in whom there is room for, and demands again for those who still wait. */
  admit(): void {
    // Whoever is let in may at once make room for the next: in this loop, not one call deeper each time.
    if (this.#admitting) return;
    this.#admitting = true;
    for (let entered = true; entered;) {
      entered = false;
      for (
        let first = this.#waiting.peek();
        first !== undefined && this.has(first.size) && first.fits?.() !== false;
        first = this.#waiting.peek()
      ) {
        this.#waiting.shift();
        first.leave();
        first.enter();
        entered = true;
      }
      if (entered && this.#waiting.length > 0) this.#demand();
    }
    this.#admitting = false;
  }

  /** Turns everybody away, now and from now on. */
  close(): void {
    this.#closed = true;
    for (let first = this.#waiting.shift(); first !== undefined; first = this.#waiting.shift()) {
      first.leave();
      first.turnAway();
    }
  }
}
