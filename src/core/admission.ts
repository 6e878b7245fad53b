interface Waiting {
  size: number;
  /** Says whether there is room, in place of `has`. */
  fits: (() => boolean) | undefined;
  /** Makes some room by other means; `false` if there is none to make. */
  makeRoom: (() => boolean) | undefined;
  enter: () => void;
  turnAway: () => void;
  leave: () => void;
  previous: Waiting | undefined;
  next: Waiting | undefined;
  queued: boolean;
}

/** A hard bound on what is pending, and the callers that wait for room, in the order of their arrival. */
export class Room {
  readonly #limit: number | (() => number);
  readonly #pending: () => number;
  readonly #demand: () => void;
  /** Linked, so that a caller leaves from anywhere at constant cost. */
  #first: Waiting | undefined;
  #last: Waiting | undefined;
  #admitting = false;
  #closed = false;

  /** `demand` requests the delivery of what is pending: no item can fill the open batch while callers wait. */
  constructor(limit: number | (() => number), pending: () => number, demand: () => void) {
    this.#limit = limit;
    this.#pending = pending;
    this.#demand = demand;
  }

  get limit(): number {
    return typeof this.#limit === 'number' ? this.#limit : this.#limit();
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
    return this.#first !== undefined && !this.#closed;
  }

  /**
   * Demands, and calls `enter` as soon as there is room, or `turnAway` (which makes the error) if it closes before.
   * `watch` is given a function that lets the caller leave with an error before that; what it returns is called once the
   * caller no longer waits. `fits` says whether there is room, in place of `has`.
   */
  wait<T>(
    enter: () => Promise<T>,
    turnAway: () => Error,
    watch?: (leave: (error: unknown) => void) => () => void,
    size = 1,
    fits?: () => boolean,
    makeRoom?: () => boolean,
  ): Promise<T> {
    if (this.#closed) return Promise.reject(turnAway());
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = {
        size,
        fits,
        makeRoom,
        enter: () => {
          resolve(enter());
        },
        turnAway: () => {
          reject(turnAway());
        },
        leave: () => undefined,
        previous: this.#last,
        next: undefined,
        queued: true,
      };
      if (watch !== undefined) {
        waiting.leave = watch((error) => {
          const first = this.#first === waiting;
          this.#remove(waiting);
          reject(error);
          // The caller behind it may need less room.
          if (first) this.admit();
        });
      }
      if (this.#last === undefined) this.#first = waiting;
      else this.#last.next = waiting;
      this.#last = waiting;
      this.#demand();
    });
  }

  /** Lets callers in that there is room for, and demands again for those that still wait. */
  admit(): void {
    // A caller that is let in may at once make room for the next: in this loop, not one call deeper each time.
    if (this.#admitting || this.#closed) return;
    this.#admitting = true;
    try {
      let some = false;
      for (let entered = true; entered;) {
        entered = false;
        for (let first = this.#first; first !== undefined; first = this.#first) {
          if (!(first.fits?.() ?? this.has(first.size))) {
            // An entry that has just entered may start first. Code that is called may take the caller out.
            if (!some && first.makeRoom?.() === true) continue;
            break;
          }
          this.#remove(first);
          first.leave();
          first.enter();
          entered = some = true;
        }
        if (entered && this.#first !== undefined) this.#demand();
      }
    } finally {
      this.#admitting = false;
    }
  }

  /** Lets no caller in from now on. Each step of what it returns turns a caller away. */
  close(): Generator<number, void> {
    this.#closed = true;
    return this.#turnAway();
  }

  *#turnAway(): Generator<number, void> {
    for (let first = this.#first; first !== undefined; first = this.#first) {
      this.#remove(first);
      first.leave();
      first.turnAway();
      yield 1;
    }
  }

  #remove(waiting: Waiting): void {
    if (!waiting.queued) return;
    waiting.queued = false;
    if (waiting.previous === undefined) this.#first = waiting.next;
    else waiting.previous.next = waiting.next;
    if (waiting.next === undefined) this.#last = waiting.previous;
    else waiting.next.previous = waiting.previous;
  }
}
