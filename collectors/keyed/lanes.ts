import type { BatchPleaseState } from '../../src/index.js';

/** The part of a key's collector that the lanes use. */
export interface Tenant {
  pause(): void;
  resume(): void;
  /** Whether it holds anything that is not in flight. */
  readonly waiting: boolean;
}

/** One key's place in front of the lanes. */
export class Seat {
  /** Attempts that run. */
  running = 0;
  /** Holds a lane for its next attempt: exactly then its collector is not paused. */
  ready = false;
  /** Attempts that have begun without a lane: those of a collector that cannot be paused while it closes. */
  readonly gates = new Set<() => void>();

  constructor(readonly tenant: Tenant) {}
}

/**
 * The lanes that all keys share. A key's collector is paused unless its seat holds a lane, so that a batch that waits for
 * a lane is not in flight: it grows, can be dropped or cleared, and no timeout of an attempt runs.
 *
 * 1. Attempts that run and seats that are ready are never more than `limit`.
 * 2. Seats get lanes in the order in which they asked, one attempt each: a hot key cannot keep out the others.
 * 3. A ready seat whose collector starts nothing gives its lane to the next that asks.
 */
export class Lanes {
  paused = false;
  /** Closing has run out of time: no attempt begins any more. */
  shut = false;
  /** User code is being called by a collector, which may be about to start a batch. */
  inside = 0;
  #used = 0;
  readonly #ready = new Set<Seat>();
  readonly #queue = new Set<Seat>();
  readonly #soon = new Set<Seat>();
  #scheduled = false;

  constructor(
    public limit: number,
    /** Attempts of one key that may run at the same time. */
    public perKey: number,
    /** All that asked had their turn, and a lane is free. */
    readonly onFree: () => void,
  ) {}

  /** Whether an attempt could begin at once. */
  get free(): boolean {
    return !this.paused && this.#queue.size === 0 && this.#used - this.#ready.size < this.limit;
  }

  /** Calls user code that a collector asks for. */
  call<T>(fn: () => T): T {
    this.inside++;
    try {
      return fn();
    } finally {
      this.inside--;
    }
  }

  /** To be called whenever a batch of this key may have become due. */
  want(seat: Seat): void {
    if (seat.ready || this.paused || this.#queue.has(seat)) return;
    // Else it asks again when its attempt has ended.
    if (seat.running >= this.perKey && seat.gates.size === 0) return;
    if (this.#queue.size === 0 && this.#take(this.inside > 0)) this.#grant(seat);
    else this.#enqueue(seat);
  }

  /** The same from within a turn of its collector, whose caller asks by itself if it is a call. */
  wantSoon(seat: Seat): void {
    if (this.#soon.size === 0) {
      queueMicrotask(() => {
        const seats = [...this.#soon];
        this.#soon.clear();
        for (const each of seats) if (each.tenant.waiting) this.want(each);
      });
    }
    this.#soon.add(seat);
  }

  /** An attempt begins; a promise if it has to wait for a lane. */
  begin(seat: Seat): Promise<void> | undefined {
    if (this.shut) return new Promise(() => undefined); // until its collector gives it up
    if (seat.ready) {
      seat.ready = false;
      this.#ready.delete(seat);
      seat.running++;
      const another = seat.running < this.perKey && this.#queue.size === 0 && !this.paused && this.#used < this.limit;
      if (another) this.#makeReady(seat);
      else seat.tenant.pause();
      return undefined;
    }
    if (!this.paused && this.#queue.size === 0 && this.#take(true)) {
      seat.running++;
      return undefined;
    }
    return new Promise((resolve) => {
      seat.gates.add(resolve);
      this.#enqueue(seat);
    });
  }

  /** The attempt is over, whatever its hook still does. */
  end(seat: Seat): void {
    seat.running--;
    this.#used--;
    if (this.#queue.size > 0) this.#schedule();
    else if (!seat.ready && !this.paused && this.#used < this.limit) {
      // The next batch of this key can then start without asking.
      this.#makeReady(seat);
      seat.tenant.resume();
    }
  }

  /** The key was removed. */
  leave(seat: Seat): void {
    this.#queue.delete(seat);
    if (!seat.ready) return;
    this.#revoke(seat);
    this.#schedule();
  }

  pause(): void {
    this.paused = true;
    for (const seat of this.#ready) this.#revoke(seat);
  }

  resume(seats: Iterable<Seat>): void {
    this.paused = false;
    this.wantAll(seats);
  }

  /** All of them at once: the first does not get every lane because the others have not asked yet. */
  wantAll(seats: Iterable<Seat>): void {
    for (const seat of seats) {
      if (!seat.ready && (seat.running < this.perKey || seat.gates.size > 0)) this.#enqueue(seat);
    }
    if (this.inside === 0) this.#serve();
  }

  /** The limits have changed. */
  changed(): void {
    for (const seat of this.#ready) {
      if (this.#used <= this.limit) break;
      this.#revoke(seat);
      if (seat.tenant.waiting) this.#enqueue(seat);
    }
    this.#schedule();
  }

  #enqueue(seat: Seat): void {
    this.#queue.add(seat);
    this.#schedule();
  }

  /** In a callback of its own: no collector is then in the middle of its turn, so one that starts nothing has nothing due. */
  #schedule(): void {
    if (this.#scheduled || this.#queue.size === 0) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#serve();
    });
  }

  #serve(): void {
    for (const seat of this.#queue) {
      if (this.paused || this.shut || !this.#take(false)) return; // the end of an attempt calls it again
      this.#queue.delete(seat);
      this.#grant(seat);
    }
    if (this.free) this.onFree();
  }

  /** Takes a lane for the caller, if need be from a seat that does not use it. */
  #take(turning: boolean): boolean {
    if (this.#used >= this.limit) {
      const [unused] = this.#ready;
      if (unused === undefined || this.#used > this.limit) return false;
      this.#revoke(unused);
      // Its collector may be about to start a batch, and finds itself paused.
      if (turning && unused.tenant.waiting) this.#enqueue(unused);
    }
    this.#used++;
    return true;
  }

  /** Gives the lane that was taken to this seat. */
  #grant(seat: Seat): void {
    const [open] = seat.gates;
    if (open !== undefined) {
      seat.gates.delete(open);
      seat.running++;
      if (seat.gates.size > 0) this.#enqueue(seat);
      open();
      return;
    }
    if (seat.ready) {
      this.#used--; // it became ready in the meantime
      return;
    }
    seat.ready = true;
    this.#ready.add(seat);
    seat.tenant.resume();
  }

  #makeReady(seat: Seat): void {
    this.#used++;
    seat.ready = true;
    this.#ready.add(seat);
  }

  #revoke(seat: Seat): void {
    this.#used--;
    seat.ready = false;
    this.#ready.delete(seat);
    seat.tenant.pause();
  }
}

/** More than one batch of the key could start. */
export function isBacklogged({
  batches,
  waiting,
}: Pick<BatchPleaseState<unknown, unknown>, 'batches' | 'waiting'>): boolean {
  const queued = batches.filter(({ status }) => status === 'queued').length;
  const open = batches.reduce((rest, { status, size }) => (status === 'running' ? rest : rest - size), waiting);
  return queued + (open > 0 ? 1 : 0) > 1;
}
