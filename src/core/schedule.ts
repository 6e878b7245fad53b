/** Why a batch was cut. Every batch and every event carries it, the same in every attempt. */
export type Trigger =
  'size' | 'weight' | 'age' | 'idle' | 'sinceFlush' | 'interval' | 'shouldFlush' | 'demand' | 'close' | 'recovery';

/** The limits in force. `Infinity` switches one off; all times are milliseconds. They may change while running. */
export interface Limits {
  /** Entries of a batch. */
  size: number;
  /** Sum of weights of a batch. */
  weight: number;
  /** Since the acceptance of the batch's first entry. */
  age: number;
  /** Without a new entry; measured between one and two times as long, so that no entry reads the clock. */
  idle: number;
  /** Since the last delivery; before the first one, since the batch's first entry. */
  sinceFlush: number;
  interval: number;
  /** Largest delay of a tick, as a fraction of the interval, 0…1. */
  jitter: number;
  /** Batches that run at the same time. */
  lanes: number;
  /** Duration of an attempt. */
  attempt: number;
}

/** Decides when time makes the open batch due. Pure: numbers in, numbers out. */
export class Schedule {
  /** Acceptance of the open batch's first entry. */
  openedAt = 0;
  /** `undefined` before the first delivery. */
  lastFlush: number | undefined;
  /** The time trigger that has fired for the open batch, which grows on until a lane is idle. */
  trigger: Trigger | undefined;
  /** How many triggers have fired; a held batch is tried again at the next. */
  fired = 0;
  #tick: number;
  #idleAt = Infinity;
  #joined = 0;
  /** When the last attempt of a held batch failed: an overdue open batch fires again that much later. */
  #heldSince = -Infinity;

  constructor(
    readonly limits: Limits,
    readonly origin: number,
  ) {
    this.#tick = this.#tickAfter(origin);
  }

  /** The first entry joins the open batch. */
  open(acceptedAt: number, joined: number): void {
    this.openedAt = acceptedAt;
    this.#joined = joined + 1;
    this.#idleAt = acceptedAt + this.limits.idle;
    if (this.#tick <= acceptedAt) this.#tick = this.#tickAfter(acceptedAt);
  }

  /** Lets every time trigger fire that is due; the one that was due first names the batch. */
  fire(now: number, size: number, joined: number): void {
    if (size > 0 && this.#idleAt <= now && this.trigger === undefined && joined !== this.#joined) {
      this.#joined = joined;
      this.#idleAt = now + this.limits.idle;
    }
    if (size > 0 && this.deadline(size) <= now) {
      this.trigger ??= this.#timeTrigger();
      this.#heldSince = -Infinity;
      this.fired++;
    }
    if (this.#tick <= now) {
      this.#tick = this.#tickAfter(now);
      this.fired++;
      // A delivery revokes 'sinceFlush'; it does not revoke a tick.
      if (this.trigger === 'sinceFlush') this.trigger = 'interval';
    }
  }

  /** Marks the open batch due, as a time trigger does: it is cut when a lane is idle. */
  markDue(reason: Trigger): void {
    this.trigger ??= reason;
    this.fired++;
  }

  /** The open batch was cut. */
  sealed(): void {
    this.trigger = undefined;
    this.fired++;
  }

  delivered(now: number): void {
    this.lastFlush = now;
    if (this.trigger === 'sinceFlush') this.trigger = undefined;
  }

  /** A batch is held from now on. Triggers due by now do not count as the next one. */
  held(now: number, size: number, joined: number): void {
    this.fire(now, size, joined);
    this.#heldSince = now;
  }

  /** A batch has left its lane. */
  released(): void {
    this.#heldSince = -Infinity;
  }

  /** The limits have changed. */
  changed(now: number): void {
    this.#tick = this.#tickAfter(now);
    this.#idleAt = now + this.limits.idle;
  }

  /** The next tick of the interval's grid. */
  get tick(): number {
    return this.#tick;
  }

  /** When the open batch is due by time; when it already is, when it fires again for a held batch. */
  deadline(size: number): number {
    if (size === 0) return Infinity;
    const { age, sinceFlush } = this.limits;
    if (this.trigger !== undefined) {
      return this.#heldSince === -Infinity ? Infinity : this.#heldSince + Math.min(age, sinceFlush);
    }
    return Math.min(this.openedAt + age, this.#sinceFlushAt, this.#tick, this.#idleAt);
  }

  get #sinceFlushAt(): number {
    return (this.lastFlush ?? this.openedAt) + this.limits.sinceFlush;
  }

  #timeTrigger(): Trigger {
    const deadline = this.deadline(1);
    if (deadline === this.openedAt + this.limits.age) return 'age';
    if (deadline === this.#tick) return 'interval';
    return deadline === this.#sinceFlushAt ? 'sinceFlush' : 'idle';
  }

  #tickAfter(now: number): number {
    const { interval, jitter } = this.limits;
    if (interval === Infinity) return Infinity;
    const next = this.origin + (Math.floor((now - this.origin) / interval) + 1) * interval;
    return (next > now ? next : next + interval) + Math.random() * jitter * interval; // the division may be inexact
  }
}
