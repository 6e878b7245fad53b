import { ClosedError, ClearedError } from '../errors.js';
import { Batch } from './batch.js';
import { Alarm, type Clock } from './clock.js';
import { DEBUG, checkInvariants } from './debug.js';
import { Outcome } from './outcome.js';
import { Deferred, onAbort } from './promise.js';
import { type Driver, Runner } from './runner.js';
import type { Limits, Trigger } from './schedule.js';

/** What `close` could not deliver, and the first reason why. */
export interface Left<State> {
  states: State[];
  entries: number;
  cause: unknown;
}

interface Closing<State> {
  readonly deadline: number;
  /** Whether what does not run is delivered too. */
  readonly retries: boolean;
  readonly left: Left<State>;
  readonly done: Deferred;
}

/** Fast-path looks at the clock while a timer is armed: at the 2nd entry of a batch, then 8 times as far each time. */
const LOOK_FACTOR = 8;

/**
 * A batcher is a log with five cursors and one deadline. The family counts `accepted`, `waiting` and `joined`; the core
 * cuts the open batch, queues it, runs it, and settles everybody who waits. Every event ends in `turn()`, which looks
 * at the numbers and moves as far as it can.
 *
 * 1. settled ≤ started ≤ sealed ≤ joined ≤ accepted; none ever shrinks.
 * 2. Batches partition the accepted entries, apart from entries refused; splitting a batch partitions it.
 * 3. A batch is never empty, never early, and never cut by a turn while an entry is on its way into it.
 * 4. The alarm is set for the next moment at which the answers change if nothing else happens. One turn too many
 *    changes nothing.
 * 5. No await inside a transition: whenever user code can see the batcher, the invariants hold. User code may call
 *    back from anywhere; a turn never nests.
 * 6. An empty batcher arms no timer.
 * 7. Every promise handed out settles in the end; a run that answers after it expired is ignored.
 * 8. With one lane, batches are delivered in the order of acceptance, also across retries.
 */
export class Core<State> extends Runner<State> {
  /** Entries the batcher has taken responsibility for. */
  accepted = 0;
  /** Of them: not handed to their add hook yet. One whose hook has not returned is neither waiting nor joined. */
  waiting = 0;
  /** Entries that have joined a batch, or were refused. */
  joined = 0;
  /** Entries whose batch takes no more. */
  sealed = 0;
  /** Entries that `clear` has taken back. */
  returned = 0;
  /** Entries of batches from an earlier process. */
  adopted = 0;
  /** The open batch. */
  state: State | undefined;
  opened = false;
  size = 0;
  weight = 0;
  /** An entry below joins with nothing to decide, if no other is on its way. 0 disables the fast path. */
  fastLimit = 0;
  /** Entries that have joined outlive the process: `close` leaves them where they are. */
  durable = false;
  /** An entry at or behind this position calls for a turn. */
  lookAt = Infinity;
  /** How many may be pending on the fast path; 0 disables it. */
  capacity = 0;
  /** When the add hook that has an entry takes too long. */
  entryDeadline = Infinity;
  readonly alarm: Alarm;
  #outcome: Outcome | undefined;
  #pace: Deferred | undefined;
  /** The open batch is to be cut as it is. */
  #asked: Trigger | undefined;
  /** Where the next cut is demanded, and up to where everything is. */
  #cutAt = 0;
  #demandedTo = 0;
  #demandReason: Trigger = 'demand';
  #closing: Closing<State> | undefined;
  #drainedAt = 0;
  #lastAdopted: Batch<State> | undefined;
  #turning = false;
  #again = false;
  /** Entries of the open batch at which the next turn looks at the clock, in case its timer was lost. */
  #look = 0;

  constructor(driver: Driver<State>, limits: Limits, clock: Clock, origin: number, unref: boolean) {
    super(driver, limits, clock, origin);
    this.alarm = new Alarm(clock, (now) => void this.turn(now), unref);
  }

  get pending(): number {
    return this.accepted - this.finished;
  }

  get closing(): boolean {
    return this.#closing !== undefined;
  }

  protected get ending(): Closing<State> | undefined {
    return this.#closing;
  }

  /** No add hook has an entry, and no user code looks at the open batch. */
  get still(): boolean {
    return this.accepted - this.joined === this.waiting;
  }

  /** A time trigger has fired for the open batch, and no lane is idle. */
  get overdue(): boolean {
    return this.schedule.trigger !== undefined;
  }

  /** Every entry below is delivered, refused, returned or given up. */
  get settled(): number {
    return this.log.first?.from ?? this.sealed;
  }

  // The open batch

  /** The first entry of a batch is about to join. */
  open(acceptedAt: number): void {
    this.#advance();
    this.schedule.open(acceptedAt, this.joined);
    this.#look = 1;
  }

  /** An entry was refused on its way. */
  refused(): void {
    this.joined++;
    this.finished++;
    if (this.size === 0) this.#advance();
  }

  /** The delivery of the entry at this place of the open batch. */
  delivery(index: number, perEntry: boolean): Promise<void> {
    this.#outcome ??= new Outcome(perEntry);
    return this.#outcome.wait(index);
  }

  /** Callers of the open batch that handle failures themselves. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** Settles when a lane is free for the open batch and another one; rejects if it is given up before. */
  get pace(): Promise<void> {
    this.#pace ??= new Deferred();
    return this.#pace.promise;
  }

  /** The open batch is to be cut as it is. */
  ask(reason: Trigger): void {
    this.#asked = reason;
    this.fastLimit = 0;
  }

  /** Why the open batch is to be cut now. */
  due(): Trigger | undefined {
    if (this.size === 0 || !this.still) return undefined;
    if (this.size >= this.limits.size) return 'size';
    if (this.weight >= this.limits.weight) return 'weight';
    if (this.#asked !== undefined) return this.#asked;
    if (this.#cutAt > this.sealed && this.#cutAt <= this.joined) return this.#demandReason;
    return this.idle ? this.schedule.trigger : undefined;
  }

  /** Cuts the open batch, which must not be empty, and queues it for a lane. */
  seal(reason: Trigger): Batch<State> {
    const { state, sealed, joined, size, weight } = this;
    const batch = new Batch(state as State, sealed, joined, size, weight, reason, this.#outcome, this.#pace);
    this.log.insert(batch, this.log.last);
    this.queue ??= batch;
    this.#reset();
    return batch;
  }

  #reset(): void {
    this.#advance();
    this.state = this.#outcome = this.#pace = this.#asked = undefined;
    this.size = this.weight = this.fastLimit = 0;
    this.opened = false;
    this.schedule.sealed();
  }

  /** Every entry that has joined is sealed or refused. */
  #advance(): void {
    this.sealed = this.joined;
    if (this.#cutAt <= this.sealed) this.#cutAt = this.#demandedTo > this.sealed ? this.#demandedTo : 0;
  }

  /** Queues a batch from an earlier process, before everything that is accepted in this one. */
  adopt(state: State, size: number, attempts: number): void {
    const from = this.adopted - 2 ** 52;
    const batch = new Batch<State>(state, from, from + size, size, 0, 'recovery', undefined, undefined);
    batch.attempt = attempts;
    let after = this.#lastAdopted;
    if (after === undefined || !this.log.has(after)) {
      after = undefined;
      for (const other of this.log) {
        if (other.reason !== 'recovery') break;
        after = other;
      }
    }
    this.#lastAdopted = batch;
    this.log.insert(batch, after);
    this.skipTo(this.log.first);
    this.adopted += size;
    this.finished -= size;
  }

  /** Takes entries out of the open batch. */
  withdraw(count: number, weight: number): void {
    this.finished += count;
    this.size -= count;
    this.weight -= weight;
    // What made the batch due concerns none of the entries that come now.
    if (this.size === 0) {
      this.schedule.trigger = this.#asked = undefined;
      this.weight = 0;
      this.#advance();
    }
    this.fastLimit = 0;
  }

  // Requests

  /** Everything accepted so far is to be cut and delivered; what waits for a retry goes on waiting. */
  demand(reason: Trigger = 'demand'): void {
    this.#demandedTo = this.accepted;
    this.#demandReason = reason;
    if (this.#cutAt <= this.sealed) this.#cutAt = this.accepted;
    this.fastLimit = 0;
    this.turn();
  }

  flush(timeout = Infinity, hurry = true, signal?: AbortSignal): Promise<void> {
    const now = this.clock.now();
    let promise: Promise<void>;
    if (signal === undefined) promise = this.waiters.add(this.accepted, now, timeout);
    else {
      const waiter = this.waiters.addLeaving(this.accepted, now, timeout);
      const off = onAbort(signal, () => {
        waiter.leave(signal.reason);
        this.turn();
      });
      promise = waiter.promise;
      promise.then(off, off);
    }
    if (hurry) this.hurryTo(this.accepted, false);
    this.demand();
    return promise;
  }

  /** Takes back every batch that is not in flight, oldest first. An open one whose add hook has an entry stays. */
  clear(): State[] {
    const states: State[] = [];
    if (this.size > 0 && this.still) this.seal('demand');
    const error = new ClearedError();
    for (const batch of this.log) {
      if (batch.running || batch.status === 'settled') continue;
      this.detach(batch);
      states.push(batch.state);
      this.finished += batch.size;
      this.returned += batch.size;
      batch.outcome?.reject(error);
      batch.pace?.reject(error);
      this.move(batch, 'settled');
    }
    this.turn();
    return states;
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
      if (!oldest.running && oldest.status !== 'settled') break;
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
    const { limits, joined, size } = this;
    const timed = Math.min(limits.age, limits.idle, limits.sinceFlush, limits.interval) < Infinity;
    if (size > this.#look) this.#look = size * LOOK_FACTOR;
    this.lookAt = timed && size > 0 ? joined + this.#look - size : Infinity;
    const simple = size > 0 && this.waiting === 0 && this.still && this.#closing === undefined;
    if (!simple || this.due() !== undefined || this.#cutAt > this.sealed) this.fastLimit = 0;
    else this.fastLimit = Math.min(joined + limits.size - size - 1, this.finished + this.capacity, this.lookAt);
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
    const closed = new ClosedError('closed before it was delivered', batch.failure, this.durable);
    const reject = this.waiters.takeCovering(batch.from);
    batch.outcome?.reject(closed);
    batch.pace?.reject(closed);
    reject(closed);
    this.remove(batch);
  }
}
