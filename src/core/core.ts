import { ClearedError, ClosedError } from '../errors.js';
import { Batch } from './batch.js';
import type { Closing, Left } from './actions.js';
import { Deferred, onAbort } from './promise.js';
import { Turns } from './turns.js';

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
export class Core<State> extends Turns<State> {
  /** Entries that `clear` has taken back. */
  returned = 0;
  #lastAdopted: Batch<State> | undefined;

  get closing(): boolean {
    return this.ending !== undefined;
  }

  /** A time trigger has fired for the open batch, and no lane is idle. */
  get overdue(): boolean {
    return this.schedule.trigger !== undefined;
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
    else {
      const call = { position, leave };
      this.patient.add(call);
      const off = (): void => void this.patient.delete(call);
      promise.then(off, off);
    }
    this.demand();
    return promise;
  }

  pause(): void {
    if (this.ending === undefined) this.paused = true;
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

  /** Queues a batch from an earlier process, before everything that is accepted in this one. */
  adopt(state: State, size: number, attempts: number): void {
    const from = this.adopted - 2 ** 52;
    const batch = new Batch<State>(state, from, from + size, size, 0, 'recovery', undefined, undefined);
    batch.attempt = attempts;
    // The ids of earlier processes' parts are in use: an attempt splits off two at most.
    batch.parts = 2 * attempts;
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

  // Closing

  /** Takes no more: delivers what is pending until the deadline, or without `flush` waits only for what runs. */
  async close(timeout: number, flush: boolean): Promise<Left<State>> {
    const left: Left<State> = { batches: [], entries: 0, cause: undefined };
    const done = new Deferred();
    this.ending = { deadline: this.clock.now() + timeout, retries: flush, left, done };
    this.paused = false;
    this.fastLimit = 0;
    if (flush) {
      this.hurryTo(Infinity, true);
      this.demand('close');
    } else this.turn();
    await done.promise;
    left.batches.sort((a, b) => a.from - b.from); // one may have failed before an older one
    return left;
  }

  /** Gives up what does not run, or when its time is up everything. */
  protected abandon(closing: Closing<State>, now: number): void {
    const all = this.isUp(closing.deadline, now);
    if (closing.retries && !all) return;
    // An entry whose hook returns after this is left as well, not delivered: the caller gets it back as undelivered.
    closing.retries = false;
    // Entries that were accepted before are to be stored, if there is time.
    if (this.durable && !all && (!this.still || this.waiting > 0)) return;
    const error = new ClosedError('closed before it was delivered');
    if (!this.still || this.waiting > 0) closing.left.entries += this.driver.abandon(error);
    if (this.size > 0 && this.still) this.seal('close');
    // A copy: the user's code that is called for one batch may take back others.
    for (const batch of new Set([...this.log, ...this.active])) {
      if (batch.status === 'settled' || (batch.running && !all)) continue;
      if (batch.running) this.endRun(batch, error);
      if (batch.work === undefined) this.leave(batch, error);
      else this.giveUpWork(batch, error);
    }
  }
}
