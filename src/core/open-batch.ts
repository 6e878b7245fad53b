import { ClearedError } from '../errors.js';
import { Batch } from './batch.js';
import { Outcome } from './outcome.js';
import { Deferred } from './promise.js';
import { Runner } from './runner.js';
import type { Trigger } from './schedule.js';

/** Fast-path looks at the clock while a timer is armed: at the 2nd entry of a batch, then 8 times as far each time. */
const LOOK_FACTOR = 8;

/** The cursors of the log, the open batch, and where it is to be cut. */
export abstract class OpenBatch<State> extends Runner<State> {
  /** Entries the batcher has taken responsibility for. */
  accepted = 0;
  /** Accepted entries whose add hook was not called yet. One whose hook runs is neither waiting nor joined. */
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
  /** Fast-path limit: entries below it join without a check, unless an add hook runs. 0 disables the fast path. */
  fastLimit = 0;
  /** An entry at or behind this position calls for a turn. */
  lookAt = Infinity;
  /** How many may be pending on the fast path; 0 disables it. */
  capacity = 0;
  /** When the add hook that has an entry takes too long. */
  entryDeadline = Infinity;
  #outcome: Outcome | undefined;
  #pace: Deferred | undefined;
  /** The open batch is to be cut as it is. */
  #asked: Trigger | undefined;
  /** Where the next cut is demanded, and up to where everything is. */
  #cutAt = 0;
  #demandedTo = 0;
  #demandReason: Trigger = 'demand';
  #lastAdopted: Batch<State> | undefined;
  /** Entries of the open batch at which the next turn looks at the clock, in case its timer was lost. */
  #look = 0;

  get pending(): number {
    return this.accepted - this.finished;
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
    // The demand that made the batch due does not cover the entries that come now.
    if (this.size === 0) {
      this.schedule.trigger = this.#asked = undefined;
      this.weight = 0;
      this.#advance();
    }
    this.fastLimit = 0;
  }

  /** Takes back every batch that is not in flight, oldest first. An open one whose add hook has an entry stays. */
  clear(): State[] {
    const states: State[] = [];
    if (this.size > 0 && this.still) this.seal('demand');
    const error = new ClearedError();
    for (const batch of this.log) {
      if (batch.inFlight || batch.status === 'settled') continue;
      this.detach(batch);
      states.push(batch.state);
      this.finished += batch.size;
      this.returned += batch.size;
      batch.outcome?.reject(error);
      batch.pace?.reject(error);
      this.move(batch, 'settled');
    }
    this.transition(() => undefined);
    return states;
  }

  /** Everything accepted so far is to be cut; says nothing about batches that wait for their retry. */
  protected demandAll(reason: Trigger): void {
    this.#demandedTo = this.accepted;
    this.#demandReason = reason;
    if (this.#cutAt <= this.sealed) this.#cutAt = this.accepted;
    this.fastLimit = 0;
  }

  /** How far the fast path is open; `held` closes it. */
  protected aimFastPath(held: boolean): void {
    const { limits, joined, size } = this;
    const timed = Math.min(limits.age, limits.idle, limits.sinceFlush, limits.interval) < Infinity;
    if (size > this.#look) this.#look = size * LOOK_FACTOR;
    this.lookAt = timed && size > 0 ? joined + this.#look - size : Infinity;
    const simple = size > 0 && this.waiting === 0 && this.still && !held;
    if (!simple || this.due() !== undefined || this.#cutAt > this.sealed) this.fastLimit = 0;
    else this.fastLimit = Math.min(joined + limits.size - size - 1, this.finished + this.capacity, this.lookAt);
  }
}
