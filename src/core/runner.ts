import { TimeoutError } from '../errors.js';
import type { Batch, Work } from './batch.js';
import type { Clock } from './clock.js';
import { Lanes } from './lanes.js';
import { type Awaitable, adopt, isThenable } from './promise.js';
import type { Limits } from './schedule.js';
import { Waiters } from './waiters.js';

/** The smallest delay before another attempt, in ms, so that a delay of 0 cannot occupy the event loop for ever. */
const SOON = 1;

/** What to do with a batch whose attempt failed. */
export type Decision<State> = Fate | Parts<State>;
/** Try again after `retryIn` ms (`set`: by the user, never cut short but by `close`), keep, step aside, or give up. */
export type Fate = { retryIn: number; set?: boolean } | 'hold' | 'aside' | 'drop';
/** Each part becomes a batch of its own; entries that no part names are delivered. */
export interface Parts<State> {
  parts: readonly { state: State; indexes: readonly number[]; fate: Fate; error: unknown; attempt: number }[];
  result?: unknown;
}

/** How a batch ended. */
export type Ending = { result: unknown } | { error: unknown; why: 'overflow' | 'giveUp' };

/** The port from the core to a family. None of its methods may throw, but for `run`, whose throw fails the attempt. */
export interface Driver<State> {
  /** Lets the next entry join, or refuses one whose hook took too long; `false` if there is nothing to do. */
  next(now: number): boolean;
  run(batch: Batch<State>): Awaitable<unknown>;
  /** Decides about a batch whose attempt failed, or (with `batch.work`) about the work that follows its end. */
  failed(batch: Batch<State>, error: unknown): Decision<State>;
  /** The batch waits until `retryAt`, or is held; the error is for pending `flush()` calls that cover a held batch. */
  waits(batch: Batch<State>, error: unknown, retryAt: number): Error;
  /** The batch has ended; answers with the error for its callers, if it was given up, and with the work that follows. */
  settled(batch: Batch<State>, ending: Ending): { error?: Error; work?: Work | undefined };
  /** At the end: refuses every entry that has not joined, and answers how many those were. */
  abandon(error: Error): number;
  /** Room may be free; `drained`: nothing is pending any more. */
  changed(drained: boolean): void;
  /** Names an attempt in the message of its timeout; "a flush" by default. */
  readonly work?: string;
}

/** Attempts: starts, expires, repeats, holds, splits and ends batches. */
export abstract class Runner<State> extends Lanes<State> {
  readonly waiters = new Waiters();
  /** Entries delivered, refused, dropped or returned. */
  finished = 0;
  /** Deliveries so far, and failed attempts since the last one. */
  deliveries = 0;
  failures = 0;
  /** The number of triggers that had fired at the last look. */
  #fired = 0;

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
  /** Entries of the open batch. */
  abstract readonly size: number;
  abstract readonly joined: number;
  /** While closing: no batch waits for a trigger, and without `retries` no attempt is repeated. */
  protected abstract get ending(): { retries: boolean } | undefined;
  /** While closing: takes over a batch that was not delivered. */
  protected abstract leave(batch: Batch<State>, error: unknown): void;

  /** One move: an attempt expires, is repeated, or the next batch starts; `false` if there is none to make. */
  protected advance(now: number): boolean {
    if (this.wakeAt <= now || (this.helds > 0 && this.#fired !== this.schedule.fired)) this.#wake(now);
    const next = this.queue;
    if (next === undefined || !this.idle) return false;
    if ((this.recovering && next.reason !== 'recovery') || this.ending?.retries === false) return false;
    this.skipTo(next.next);
    this.takeLane(next);
    if (next.condemned !== undefined) this.#condemn(next, next.condemned);
    else if (next.status === 'retrying' && next.wakeAt > now) this.noteWake(next.wakeAt);
    else this.#start(next, now);
    return true;
  }

  /** Looks at every active batch: fails what took too long, and starts what is due. */
  #wake(now: number): void {
    this.wakeAt = Infinity;
    this.#fired = this.schedule.fired;
    for (const batch of this.active) {
      const { status, running } = batch;
      if (running ? batch.wakeAt > now : !this.#isDue(batch, now)) {
        this.noteWake(status === 'held' ? this.schedule.tick : batch.wakeAt);
      } else if (running) {
        const what = batch.work === undefined ? (this.driver.work ?? 'a flush') : 'the work after a flush';
        this.#fail(batch, batch.begun, new TimeoutError(what, this.limits.attempt), true);
      } else if (batch.lane >= 0 || batch.work !== undefined) {
        if (!this.paused) this.#start(batch, now);
      } else if (this.idle) {
        this.takeLane(batch);
        this.#start(batch, now);
      }
    }
  }

  #isDue({ status, wakeAt, heldAt, suspectedAt }: Batch<State>, now: number): boolean {
    if (wakeAt <= now) return true;
    if (status === 'held') return heldAt < this.schedule.fired;
    return status === 'aside' && suspectedAt < this.deliveries;
  }

  // Attempts

  #start(batch: Batch<State>, now: number): void {
    batch.attempt++;
    this.move(batch, 'running');
    batch.startedAt = now;
    if (batch.firstStartedAt < 0) batch.firstStartedAt = now;
    batch.heldAt = Infinity;
    batch.wakeAt = now + this.limits.attempt;
    this.noteWake(batch.wakeAt);
    this.active.add(batch);
    const run = ++batch.begun;
    let result: unknown;
    try {
      result = batch.work === undefined ? this.driver.run(batch) : batch.work();
    } catch (error) {
      this.#fail(batch, run, error, false);
      return;
    }
    if (!isThenable(result)) {
      this.#succeed(batch, run, result);
      return;
    }
    adopt(result).then(
      (value) => {
        this.transition(() => {
          this.#succeed(batch, run, value);
        });
      },
      (error: unknown) => {
        this.transition(() => {
          this.#fail(batch, run, error, false);
        });
      },
    );
  }

  /** The run is over; what it answers later is ignored. */
  protected endRun(batch: Batch<State>, aborted?: unknown): void {
    batch.ended = batch.begun;
    batch.wakeAt = Infinity;
    if (aborted !== undefined) batch.context?.abort(aborted);
    batch.context = undefined;
  }

  #succeed(batch: Batch<State>, run: number, result: unknown): void {
    if (run <= batch.ended) return;
    this.endRun(batch);
    if (batch.work !== undefined) {
      this.remove(batch);
      return;
    }
    this.#deliver(batch, result);
  }

  #deliver(batch: Batch<State>, result: unknown): void {
    this.deliveries++;
    this.failures = 0;
    this.schedule.delivered(this.clock.now());
    if (this.asides > 0) this.noteWake(-Infinity);
    this.#finish(batch, { result });
  }

  #fail(batch: Batch<State>, run: number, error: unknown, expired: boolean): void {
    if (run <= batch.ended) return;
    this.endRun(batch, expired ? error : undefined);
    batch.failure = error;
    if (batch.work === undefined) this.failures++;
    const { extra } = batch;
    if (extra) batch.attempt--;
    const decision = this.driver.failed(batch, error);
    const why = batch.failure; // the family may know better
    batch.extra = false;
    if (batch.work !== undefined) this.#failWork(batch, why, decision as Fate);
    else if (typeof decision === 'object' && 'parts' in decision) this.#split(batch, decision);
    else if (extra && typeof decision === 'object' && decision.set !== true) {
      batch.attempt++;
      this.#wait(batch, why, Math.max(batch.dueAt, this.clock.now()));
      batch.attempt--;
    }
    else {
      batch.hurried = false;
      this.#meet(batch, why, decision);
    }
  }

  /** A part that was given up has its lane. */
  #condemn(batch: Batch<State>, { error, fate }: { error: unknown; fate: 'hold' | 'aside' | 'drop' }): void {
    batch.condemned = undefined;
    batch.failure = error;
    this.#meet(batch, error, fate);
  }

  #meet(batch: Batch<State>, error: unknown, fate: Fate): void {
    const { ending } = this;
    if (fate === 'drop' && ending?.retries !== false) this.#finish(batch, { error, why: 'giveUp' });
    else if (ending !== undefined && (typeof fate === 'string' || !ending.retries)) this.leave(batch, error);
    else if (fate === 'hold') this.hold(batch, error);
    else if (fate === 'aside') this.#stepAside(batch);
    else if (typeof fate === 'object') {
      batch.delaySet = fate.set === true;
      this.#wait(batch, error, this.clock.now() + Math.max(fate.retryIn, SOON));
    }
  }

  #wait(batch: Batch<State>, error: unknown, retryAt: number): void {
    this.move(batch, 'retrying');
    batch.wakeAt = batch.dueAt = retryAt;
    this.noteWake(retryAt);
    this.driver.waits(batch, error, retryAt);
  }

  protected hold(batch: Batch<State>, error: unknown): void {
    this.move(batch, 'held');
    this.schedule.held(this.clock.now(), this.size, this.joined);
    batch.heldAt = this.schedule.fired;
    this.noteWake(this.schedule.tick);
    const reject = this.waiters.takeCovering(batch.from);
    reject(this.driver.waits(batch, error, Infinity));
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
    for (const batch of this.active) {
      const waits = batch.status === 'retrying' || batch.status === 'held' || batch.status === 'aside';
      if (!waits || batch.running || (!all && (batch.from >= position || batch.delaySet || batch.hurried))) continue;
      if (batch.status === 'retrying' && !all && batch.work === undefined) batch.extra = batch.hurried = true;
      batch.wakeAt = -Infinity;
      this.noteWake(-Infinity);
    }
  }

  #split(batch: Batch<State>, { parts, result }: Parts<State>): void {
    const children = parts.map(({ state, indexes, fate, error, attempt }) => {
      const part = batch.split(state, indexes);
      part.attempt = attempt;
      if (typeof fate === 'object') {
        part.status = 'retrying';
        part.delaySet = fate.set === true;
        part.wakeAt = part.dueAt = fate.retryIn <= 0 ? -Infinity : this.clock.now() + fate.retryIn;
      } else part.condemned = { error, fate };
      return part;
    });
    let after = batch;
    for (const part of children) {
      this.log.insert(part, after);
      after = part;
    }
    if (batch.size > 0) this.#deliver(batch, result);
    else this.remove(batch);
    this.skipTo(this.log.first);
    children.forEach((part, i) => {
      const fate = parts[i]?.fate;
      if (typeof fate === 'object' && fate.retryIn > 0) this.driver.waits(part, parts[i]?.error, part.dueAt);
    });
  }

  // Ends

  /** Ends a batch that is not running, to make room. */
  protected dropWaiting(batch: Batch<State>, error: Error): void {
    this.detach(batch);
    this.#finish(batch, { error, why: 'overflow' });
  }

  #finish(batch: Batch<State>, ending: Ending): void {
    this.finished += batch.size;
    this.move(batch, 'settled');
    const reject = 'why' in ending ? this.waiters.takeCovering(batch.from) : undefined;
    const { error, work } = this.driver.settled(batch, ending);
    if (error === undefined) batch.outcome?.resolve();
    else {
      batch.refusal = error;
      batch.outcome?.reject(error);
      batch.pace?.reject(error);
      reject?.(error);
    }
    batch.outcome = undefined;
    if (work === undefined) this.remove(batch);
    else {
      batch.work = work;
      batch.attempt = 0;
      this.#start(batch, this.clock.now());
    }
  }

  /** The batch has ended all the same; only the work is repeated, on the batch's lane. */
  #failWork(batch: Batch<State>, error: unknown, fate: Fate): void {
    this.log.remove(batch);
    if (typeof fate === 'object' && this.ending === undefined) {
      this.move(batch, 'retrying');
      batch.delaySet = true; // hurrying it would deliver nothing
      batch.wakeAt = this.clock.now() + Math.max(fate.retryIn, SOON);
      this.noteWake(batch.wakeAt);
      this.active.add(batch);
      this.driver.waits(batch, error, batch.wakeAt);
    } else this.giveUpWork(batch, error);
  }

  protected giveUpWork(batch: Batch<State>, error: unknown): void {
    this.remove(batch);
    this.driver.waits(batch, error, Infinity);
  }
}
