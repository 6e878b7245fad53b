import { ClosedError } from '../errors.js';
import type { Batch } from './batch.js';
import { Alarm, type Clock } from './clock.js';
import { DEBUG, checkInvariants } from './debug.js';
import { Deferred, onAbort } from './promise.js';
import { OpenBatch } from './open-batch.js';
import type { Driver } from './driver.js';
import type { Limits, Trigger } from './schedule.js';

/** The batches that `close` could not deliver, and the first error. */
export interface Left<State> {
  states: State[];
  entries: number;
  cause: unknown;
}

interface Closing<State> {
  readonly deadline: number;
  /** Whether what does not run is delivered too; not once the time is up. */
  retries: boolean;
  readonly left: Left<State>;
  readonly done: Deferred;
}

/**
 * A batcher is a log with five cursors and one deadline. The family counts `accepted`, `waiting` and `joined`; the core
 * cuts the open batch, queues it, runs it, and settles every caller that waits. Every event ends in `turn()`, which looks
 * at the numbers and moves as far as it can.
 *
 * 1. settled ≤ started ≤ sealed ≤ joined ≤ accepted; none ever shrinks.
 * 2. Batches partition the accepted entries, apart from entries refused; splitting a batch partitions it.
 * 3. A batch is never empty, never early, and never cut by a turn while the add hook of one of its entries runs.
 * 4. The alarm is set for the next moment at which the answers change if nothing else happens. One turn too many
 *    changes nothing.
 * 5. No await inside a transition: whenever user code can see the batcher, the invariants hold. User code may call
 *    back from anywhere; a turn never nests.
 * 6. An empty batcher arms no timer.
 * 7. Every promise handed out settles in the end; a run that answers after it expired is ignored.
 * 8. With one lane, batches are delivered in the order of acceptance, also across retries.
 */
export class Core<State> extends OpenBatch<State> {
  /** Entries that have joined outlive the process: `close` leaves them where they are. */
  durable = false;
  readonly alarm: Alarm;
  #closing: Closing<State> | undefined;
  #drainedAt = 0;
  #turning = false;
  #again = false;

  constructor(driver: Driver<State>, limits: Limits, clock: Clock, origin: number, unref: boolean) {
    super(driver, limits, clock, origin);
    this.alarm = new Alarm(clock, (now) => void this.turn(now), unref);
  }

  get closing(): boolean {
    return this.#closing !== undefined;
  }

  protected get ending(): Closing<State> | undefined {
    return this.#closing;
  }

  // Requests

  /** Everything accepted so far is to be cut and delivered; what waits for a retry goes on waiting. */
  demand(reason: Trigger = 'demand'): void {
    this.demandAll(reason);
    this.turn();
  }

  flush(timeout = Infinity, hurry = true, signal?: AbortSignal): Promise<void> {
    const position = this.accepted;
    const shares = hurry && signal === undefined;
    const { promise, leave } = this.waiters.add(position, this.clock.now(), timeout, shares);
    if (signal !== undefined) {
      const off = onAbort(signal, () => {
        leave(signal.reason);
        this.turn();
      });
      promise.then(off, off);
    }
    if (hurry) this.hurryTo(position, false);
    this.demand();
    if (!hurry) this.leaveHeld(position, leave);
    return promise;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.noteWake(-Infinity);
    this.turn();
  }

  /** The limits were changed. */
  configured(): void {
    this.schedule.changed(this.clock.now());
    this.fastLimit = 0;
    this.noteWake(-Infinity);
    this.turn();
  }

  /** Drops the oldest batch that is not running; `false` if there is none. */
  dropOldest(error: Error): boolean {
    let oldest: Batch<State> | undefined;
    for (oldest = this.log.first; oldest !== undefined; oldest = oldest.next) {
      if (!oldest.inFlight && oldest.status !== 'settled') break;
    }
    if (oldest === undefined && this.size > 0 && this.still) oldest = this.seal('demand');
    if (oldest === undefined) return false;
    const victim = oldest;
    this.transition(() => {
      this.dropWaiting(victim, error);
    });
    return true;
  }

  // The turn

  /** Looks at the numbers and moves as far as it can. Called from within a turn, it makes that one look again. */
  turn(now: number = this.clock.now()): boolean {
    this.#again = true;
    if (this.#turning) return false;
    this.#turning = true;
    let at = now;
    try {
      for (; this.#again; at = this.clock.now()) {
        this.#again = false;
        this.schedule.fire(at, this.size, this.joined);
        while (this.#step(at));
        this.#conclude(at);
      }
    } finally {
      this.#turning = false;
      this.#aim(now);
      if (DEBUG) checkInvariants(this);
    }
    return true;
  }

  protected transition(change: () => void): void {
    const outer = this.#turning;
    this.#turning = true;
    try {
      change();
    } finally {
      this.#turning = outer;
      this.turn();
    }
  }

  #step(now: number): boolean {
    if (this.advance(now)) return true;
    const reason = this.due();
    if (reason !== undefined) this.seal(reason);
    return reason !== undefined || this.driver.next(now);
  }

  #conclude(now: number): void {
    if (this.#closing !== undefined && !this.#empty) this.#abandon(this.#closing, now);
    this.holdAside();
    if (!this.waiters.empty) {
      this.waiters.resolve(this.settled);
      this.waiters.expire(now);
    }
    this.resolvePaced();
    const total = this.accepted + this.adopted;
    const drained = this.#drainedAt < total && this.settled === this.accepted;
    if (drained) this.#drainedAt = total;
    this.driver.changed(drained);
    if (this.#closing !== undefined && this.#empty) this.#closing.done.resolve();
  }

  /** Sets the fast path's limit and the alarm. */
  #aim(now: number): void {
    this.aimFastPath(this.#closing !== undefined);
    let deadline = Math.min(this.schedule.deadline(this.size), this.entryDeadline, this.waiters.deadline);
    if (this.active.size > 0 && (!this.paused || this.busy > 0)) deadline = Math.min(deadline, this.wakeAt);
    if (this.#closing !== undefined && !this.#empty) deadline = Math.min(deadline, this.#closing.deadline);
    this.alarm.set(deadline, now, this.#closing !== undefined || !this.waiters.empty);
  }

  // Closing

  /** Takes no more: delivers what is pending until the deadline, or without `flush` waits only for what runs. */
  async close(timeout: number, flush: boolean): Promise<Left<State>> {
    const left: Left<State> = { states: [], entries: 0, cause: undefined };
    const closing = { deadline: this.clock.now() + timeout, retries: flush, left, done: new Deferred() };
    this.#closing = closing;
    this.paused = false;
    this.fastLimit = 0;
    if (flush) {
      this.hurryTo(Infinity, true);
      this.demand('close');
    } else this.turn();
    await closing.done.promise;
    return left;
  }

  /** Nothing is pending, and nothing is left to do after it. */
  get #empty(): boolean {
    return this.accepted === this.joined && this.size === 0 && this.log.first === undefined && this.active.size === 0;
  }

  /** Gives up what does not run, or when its time is up everything. */
  #abandon(closing: Closing<State>, now: number): void {
    const all = closing.deadline <= now;
    if (closing.retries && !all) return;
    // An entry whose hook returns after this is left as well, not delivered: the caller gets it back as undelivered.
    closing.retries = false;
    // Entries that were accepted before are to be stored, if there is time.
    if (this.durable && !all && (!this.still || this.waiting > 0)) return;
    const error = new ClosedError('closed before it was delivered');
    if (!this.still || this.waiting > 0) closing.left.entries += this.driver.abandon(error);
    if (this.size > 0 && this.still) this.seal('close');
    for (const batch of this.log) {
      if (batch.running && !all) continue;
      if (batch.running) this.endRun(batch, error);
      if (batch.work === undefined) this.leave(batch, error);
      else this.giveUpWork(batch, error);
    }
    for (const batch of this.active) {
      if (batch.work === undefined || (batch.running && !all)) continue;
      if (batch.running) this.endRun(batch, error);
      this.giveUpWork(batch, error);
    }
  }

  protected leave(batch: Batch<State>, error: unknown): void {
    const left = this.#closing?.left;
    if (left !== undefined) {
      left.states.push(batch.state);
      left.entries += batch.size;
      left.cause ??= batch.failure ?? error;
    }
    // Without a waiting caller the error is not made: its stack is most of the cost of leaving.
    if (batch.outcome !== undefined || batch.pace !== undefined || !this.waiters.empty) {
      const closed = new ClosedError('closed before it was delivered', batch.failure, this.durable);
      const reject = this.waiters.takeCovering(batch.from);
      batch.outcome?.reject(closed);
      batch.pace?.reject(closed);
      reject(closed);
    }
    this.remove(batch);
  }
}
