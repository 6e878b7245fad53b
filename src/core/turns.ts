import { Batch } from './batch.js';
import { Alarm, type Clock } from './clock.js';
import { DEBUG, checkInvariants } from './debug.js';
import type { Driver } from './driver.js';
import type { Closing } from './actions.js';
import { Outcome } from './outcome.js';
import { Deferred } from './promise.js';
import { Runner } from './runner.js';
import type { Limits, Trigger } from './schedule.js';

/** Fast-path looks at the clock while a timer is armed: at the 2nd entry of a batch, then 8 times as far each time. */
const LOOK_FACTOR = 8;

/** The cursors of the log, the open batch, where it is to be cut, and the turn that cuts it and moves all the rest. */
export abstract class Turns<State> extends Runner<State> {
  /** Entries the batcher has taken responsibility for. */
  accepted = 0;
  /** Accepted entries whose add hook was not called yet. One whose hook runs is neither waiting nor joined. */
  waiting = 0;
  /** Entries that have joined a batch, or were refused. */
  joined = 0;
  /** Entries whose batch takes no more. */
  sealed = 0;
  /** Entries of batches from an earlier process. */
  adopted = 0;
  /** The open batch. */
  state: State | undefined;
  opened = false;
  size = 0;
  weight = 0;
  /** Fast-path limit: entries below it join without a check, unless an add hook runs. 0 disables the fast path. */
  fastLimit = 0;
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
  /** Entries of the open batch at which the next turn looks at the clock, in case its timer was lost. */
  #look = 0;
  #drainedAt = 0;
  #turning = false;
  #again = false;

  constructor(driver: Driver<State>, limits: Limits, clock: Clock, origin: number, unref: boolean) {
    super(driver, limits, clock, origin);
    const ring = (now: number): void => {
      this.ring(now);
    };
    this.alarm = new Alarm(clock, ring, unref);
  }

  get pending(): number {
    return this.accepted - this.finished;
  }

  /** No add hook has an entry, and no user code looks at the open batch. */
  get still(): boolean {
    return this.accepted - this.joined === this.waiting;
  }

  /** Every entry below is delivered, refused, returned or given up. */
  get settled(): number {
    return this.log.first?.from ?? this.sealed;
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

  /** Nothing is pending, and nothing is left to do after it. */
  protected get empty(): boolean {
    return this.accepted === this.joined && this.size === 0 && this.log.first === undefined && this.active.size === 0;
  }

  /** While closing: gives up what is not to be delivered any more. */
  protected abstract abandon(closing: Closing<State>, now: number): void;

  // The open batch

  /** The first entry of a batch is about to join. */
  open(acceptedAt: number): void {
    this.#advance();
    this.schedule.open(acceptedAt, this.joined);
    this.#look = 1;
  }

  /** Counts an entry that was refused before it joined. */
  refused(): void {
    this.joined++;
    this.finished++;
    if (this.size === 0) this.#advance();
  }

  /** Takes entries out of the open batch. */
  withdraw(count: number, weight: number): void {
    this.finished += count;
    this.size -= count;
    this.weight -= weight;
    // The demand that made the batch due does not cover the entries that come now.
    if (this.size === 0) {
      this.schedule.trigger = this.#asked = undefined;
      this.weight = 0;
      this.#advance();
    }
    this.fastLimit = 0;
  }

  /** The delivery of the entry at this place of the open batch. */
  delivery(index: number, perEntry: boolean): Promise<void> {
    this.#outcome ??= new Outcome(perEntry);
    return this.#outcome.wait(index);
  }

  /** The open batch is to be cut as it is. */
  ask(reason: Trigger): void {
    this.#asked = reason;
    this.fastLimit = 0;
  }

  /** Everything accepted so far is to be cut and delivered; what waits for a retry goes on waiting. */
  demand(reason: Trigger = 'demand'): void {
    this.#demandedTo = this.accepted;
    this.#demandReason = reason;
    if (this.#cutAt <= this.sealed) this.#cutAt = this.accepted;
    this.fastLimit = 0;
    this.turn();
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
    this.#advance();
    this.state = this.#outcome = this.#pace = this.#asked = undefined;
    this.size = this.weight = this.fastLimit = 0;
    this.opened = false;
    this.schedule.sealed();
    return batch;
  }

  /** Every entry that has joined is sealed or refused. */
  #advance(): void {
    this.sealed = this.joined;
    if (this.#cutAt <= this.sealed) this.#cutAt = this.#demandedTo > this.sealed ? this.#demandedTo : 0;
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
    if (this.ending !== undefined && !this.empty) this.abandon(this.ending, now);
    this.holdAside();
    this.leaveHeld(now);
    if (!this.waiters.empty) {
      this.waiters.resolve(this.settled);
      if (this.isUp(this.waiters.deadline, now)) this.waiters.expire(now);
    }
    this.resolvePaced();
    const total = this.accepted + this.adopted;
    const drained = this.#drainedAt < total && this.settled === this.accepted && this.pending === 0;
    if (drained) this.#drainedAt = total;
    this.driver.changed(drained);
    if (this.empty) this.ending?.done.resolve();
  }

  /** Sets the fast path's limit, and the alarm. */
  #aim(now: number): void {
    const { limits, joined, size, ending } = this;
    const timed = Math.min(limits.age, limits.idle, limits.sinceFlush, limits.interval) < Infinity;
    if (size > this.#look) this.#look = size * LOOK_FACTOR;
    this.lookAt = timed && size > 0 ? joined + this.#look - size : Infinity;
    const simple = size > 0 && this.waiting === 0 && this.still && ending === undefined;
    if (!simple || this.due() !== undefined || this.#cutAt > this.sealed) this.fastLimit = 0;
    else this.fastLimit = Math.min(joined + limits.size - size - 1, this.finished + this.capacity, this.lookAt);

    let deadline = Math.min(this.schedule.deadline(size), this.entryDeadline, this.waiters.deadline);
    if (this.active.size > 0 && (!this.paused || this.busy > 0)) deadline = Math.min(deadline, this.wakeAt);
    if (ending !== undefined && !this.empty) deadline = Math.min(deadline, ending.deadline);
    this.alarm.set(deadline, now, ending !== undefined || !this.waiters.empty);
  }
}
