import { Fifo } from './fifo.js';

interface Waiting {
  size: number;
  enter: () => void;
  turnAway: () => void;
  leave: () => void;
}

/** A hard bound on what is pending, and those who wait for room, in the order of their arrival. */
export class Room {
  readonly #waiting = new Fifo<Waiting>();
  readonly #pending: () => number;

  constructor(
    readonly limit: number,
    pending: () => number,
  ) {
    this.#pending = pending;
  }

  /** Room for `size` more; what could never fit is let in once nothing is pending. */
  has(size = 1): boolean {
    const pending = this.#pending();
    return pending + size <= this.limit || pending === 0;
  }

  get crowded(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * Calls `enter` as soon as there is room, or `turnAway` (which makes the error) if it closes before. An abort before
   * that leaves the caller out.
   */
  wait<T>(enter: () => Promise<T>, turnAway: () => Error, signal?: AbortSignal | null, size = 1): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = {
        size,
        enter: () => {
          resolve(enter());
        },
        turnAway: () => {
          reject(turnAway());
        },
        leave: () => signal?.removeEventListener('abort', onAbort),
      };
      const onAbort = (): void => {
        this.#waiting.remove(waiting);
        reject(signal?.reason as Error);
        this.admit();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }

  /** Lets in whom there is room for. */
  admit(): void {
    for (let first = this.#waiting.peek(); first !== undefined && this.has(first.size); first = this.#waiting.peek()) {
      this.#waiting.shift();
      first.leave();
      first.enter();
    }
  }

  /** Turns everybody away. */
  close(): void {
    for (let first = this.#waiting.shift(); first !== undefined; first = this.#waiting.shift()) {
      first.leave();
      first.turnAway();
    }
  }
}
