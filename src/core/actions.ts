import { ClosedError } from '../errors.js';
import type { Batch } from './batch.js';
import type { Clock } from './clock.js';
import type { Driver, Ending, Action, Parts } from './driver.js';
import { Lanes } from './lanes.js';
import type { Deferred } from './promise.js';
import type { Limits } from './schedule.js';
import { Waiters } from './waiters.js';

/** The smallest delay before another attempt, in ms, so that a delay of 0 cannot occupy the event loop for ever. */
export const SOON = 1;

/** The batches that `close` could not deliver, and the first error. */
export interface Left<State> {
  batches: Batch<State>[];
  entries: number;
  cause: unknown;
}

/** While closing. */
export interface Closing<State> {
  readonly deadline: number;
  /** Whether what does not run is delivered too; not once the time is up. Without it no attempt is repeated. */
  retries: boolean;
  readonly left: Left<State>;
  readonly done: Deferred;
}

/** Acts on the end of an attempt: the batch is tried again, held, set aside, split, delivered, or given up. */
export abstract class Actions<State> extends Lanes<State> {
  readonly waiters = new Waiters();
  /** Entries delivered, refused, dropped or returned. */
  finished = 0;
  /** Deliveries so far, and failed attempts since the last one. */
  deliveries = 0;
  failures = 0;
  /** Entries that have joined outlive the process: `close` leaves them where they are. */
  durable = false;
  /** Set while closing: no batch waits for a trigger. */
  protected ending: Closing<State> | undefined;

  constructor(
    readonly driver: Driver<State>,
    limits: Limits,
    clock: Clock,
    origin: number,
  ) {
    super(limits, clock, origin);
  }

  /** Makes a change as a part of a turn: what user code calls meanwhile waits for its end. */
  protected abstract transition(change: () => void): void;
  /** Begins an attempt, or the work that follows the end. */
  protected abstract start(batch: Batch<State>, now: number): void;
  /** Entries of the open batch. */
  abstract readonly size: number;
  abstract readonly joined: number;
  abstract readonly sealed: number;

  protected deliver(batch: Batch<State>, result: unknown): void {
    this.deliveries++;
    this.failures = 0;
    this.schedule.delivered(batch.endedAt);
    if (this.asides > 0) this.noteWake(-Infinity);
    this.finish(batch, { result });
  }

  /** A part that was given up has its lane. */
  protected applyDecided(batch: Batch<State>, { error, action }: NonNullable<Batch<State>['decided']>): void {
    batch.decided = undefined;
    batch.failure = error;
    this.apply(batch, error, action);
  }

  protected apply(batch: Batch<State>, error: unknown, action: Action): void {
    const { ending } = this;
    // A delay that was set protects one wait, and never a batch that is held.
    batch.delaySet = typeof action === 'object' && action.set === true;
    if (action === 'drop' && ending?.retries !== false) this.finish(batch, { error, why: 'giveUp' });
    else if (ending?.retries === false) this.leave(batch, error);
    else if (action === 'aside') this.#stepAside(batch);
    else if (typeof action === 'string') this.hold(batch, error);
    else if (typeof action === 'object') {
      this.wait(batch, error, this.clock.now() + Math.max(action.retryIn, SOON));
    }
  }

  protected wait(batch: Batch<State>, error: unknown, retryAt: number): void {
    this.move(batch, 'retrying');
    batch.wakeAt = batch.dueAt = retryAt;
    this.noteWake(retryAt);
    this.driver.waits(batch, error, retryAt);
  }

  /** While closing no trigger comes for which it could be held. */
  protected hold(batch: Batch<State>, error: unknown): void {
    if (this.ending !== undefined) {
      this.leave(batch, error);
      return;
    }
    this.move(batch, 'held');
    this.schedule.held(this.clock.now(), this.size, this.joined);
    batch.heldAt = this.schedule.fired;
    this.noteWake(this.schedule.tick);
    const reject = this.waiters.takeCovering(batch.from);
    batch.heldBy = this.driver.waits(batch, error, Infinity);
    reject(batch.heldBy);
  }

  /** A suspected entry gives its lane to others until one of them was delivered. */
  #stepAside(batch: Batch<State>): void {
    batch.suspectedAt = this.deliveries;
    this.releaseLane(batch);
    this.move(batch, 'aside');
    this.active.add(batch);
    this.driver.waits(batch, batch.failure, Infinity);
  }

  /** Without anything else to deliver no delivery will clear up what is set aside: it is held. */
  protected holdAside(): void {
    if (this.asides === 0 || this.busy > 0 || this.queue !== undefined) return;
    for (const batch of this.active) if (batch.status === 'aside') this.hold(batch, batch.failure);
  }

  /** Tries batches below the position at once that wait for their retry, once per wait, and those that are held. */
  protected hurryTo(position: number, all: boolean): void {
    for (const batch of this.active) this.#hurry(batch, position, all);
    // Parts that wait for a lane; no batch behind them was tried.
    for (let part = this.queue; part !== undefined && part.firstStartedAt >= 0; part = part.next) {
      this.#hurry(part, position, all);
    }
  }

  #hurry(batch: Batch<State>, position: number, all: boolean): void {
    const waits = batch.status === 'retrying' || batch.status === 'held' || batch.status === 'aside';
    if (!waits || batch.running || (!all && (batch.from >= position || batch.delaySet || batch.hurried))) return;
    if (batch.status === 'retrying' && !all && batch.work === undefined) batch.extra = batch.hurried = true;
    batch.wakeAt = -Infinity;
    this.noteWake(-Infinity);
  }

  protected split(batch: Batch<State>, { parts, result }: Parts<State>, extra: boolean): void {
    const ended = batch.attempt;
    const children = parts.map(({ state, indexes, action, error, attempt }) => {
      const part = batch.split(state, indexes, this.durable);
      part.attempt = attempt;
      if (typeof action !== 'object') {
        part.decided = { error, action };
        part.attempt = ended;
      } else if (action.retryIn > 0) {
        part.status = 'retrying';
        part.delaySet = action.set === true;
        part.hurried = extra && !part.delaySet;
        part.wakeAt = part.dueAt = this.clock.now() + action.retryIn;
      }
      return part;
    });
    for (const part of [...children].reverse()) this.log.insert(part, batch);
    if (batch.size > 0) this.deliver(batch, result);
    else this.remove(batch);
    this.skipTo(this.log.first);
    children.forEach((part, i) => {
      if (part.status !== 'retrying') return;
      const counted = part.attempt;
      part.attempt = ended;
      this.driver.waits(part, parts[i]?.error, part.dueAt);
      part.attempt = counted;
    });
  }

  // Ends

  /** Ends a batch that is not running, to make room. */
  protected dropWaiting(batch: Batch<State>, error: Error): void {
    this.detach(batch);
    this.finish(batch, { error, why: 'overflow' });
  }

  /** While closing: takes over a batch that was not delivered. */
  protected leave(batch: Batch<State>, error: unknown): void {
    this.#return(batch, batch.failure ?? error);
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

  protected finish(batch: Batch<State>, ending: Ending): void {
    this.finished += batch.size;
    this.move(batch, 'settled');
    const reject = 'why' in ending ? this.waiters.takeCovering(batch.from) : undefined;
    const { error, errorOf, work } = this.driver.settled(batch, ending);
    if (error === undefined) batch.outcome?.resolve();
    else {
      batch.refusal = error;
      batch.outcome?.reject(error, errorOf);
      batch.pace?.reject(error);
      reject?.(error);
    }
    batch.outcome = undefined;
    if (work === undefined) this.remove(batch);
    else {
      batch.work = work;
      batch.attempt = 0;
      this.start(batch, this.clock.now());
    }
  }

  /** The batch has ended all the same; only the work is repeated, on the batch's lane. */
  protected failWork(batch: Batch<State>, error: unknown, action: Action): void {
    this.log.remove(batch);
    const { ending } = this;
    if (typeof action === 'object' && (ending === undefined || (ending.retries && this.#unowned(batch)))) {
      this.move(batch, 'retrying');
      batch.delaySet = true; // hurrying it would deliver nothing
      batch.wakeAt = this.clock.now() + Math.max(action.retryIn, SOON);
      this.noteWake(batch.wakeAt);
      this.active.add(batch);
      this.driver.waits(batch, error, batch.wakeAt);
    } else this.giveUpWork(batch, error);
  }

  protected giveUpWork(batch: Batch<State>, error: unknown): void {
    if (this.#unowned(batch)) this.#return(batch, error);
    this.remove(batch);
    this.driver.waits(batch, error, Infinity);
  }

  /** While closing: hands the batch back to the caller of `close`. */
  #return(batch: Batch<State>, cause: unknown): void {
    const left = this.ending?.left;
    if (left === undefined) return;
    left.batches.push(batch);
    left.entries += batch.size;
    left.cause ??= cause;
  }

  /** Given up, and without an owner while `batchDeadLetter` has not taken it over; what is durable has its file. */
  #unowned(batch: Batch<State>): boolean {
    return batch.refusal !== undefined && !this.durable;
  }
}
