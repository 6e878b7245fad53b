import { ClosedError, TimeoutError } from '../errors.js';
import { Deferred, isThenable } from './awaitable.js';
import { Alarm, type Clock } from './clock.js';
import { type Chore, Flight, type Verdict, type Workload } from './flight.js';
import { Intake } from './intake.js';
import { Ledger, type Limits, type Trigger } from './ledger.js';

/** Someone who waits for everything below `position`. */
interface Waiter extends Deferred {
  position: number;
  deadline: number;
  timeout: number;
  error: Error | undefined;
}

/** What `close` could not deliver, and the first reason why. */
export interface Left<Batch> {
  batches: Batch[];
  entries: number;
  cause: unknown;
}

interface Closing<Batch> {
  readonly deadline: number;
  /** Whether what does not run is delivered too. */
  readonly flush: boolean;
  readonly left: Left<Batch>;
  readonly done: Deferred;
}

/** The smallest delay before another attempt, so that a delay of zero cannot occupy the event loop for ever. */
const SOON = 1;

/**
 * Does what the ledger decides: it owns the batches under way, everybody who waits for them, and one alarm.
 *
 * 5. No await inside a transition: whenever user code can see the engine, the ledger's invariants hold. User code may
 *    call back into it from anywhere.
 * 6. An empty engine arms no timer.
 * 7. Every promise handed out is settled in the end; a run that answers after it expired is ignored.
 * 8. With one lane, batches are delivered in the order of acceptance, also across retries.
 */
export class Engine<Entry, Batch, Result = void> {
  readonly ledger: Ledger;
  readonly intake: Intake<Entry, Batch>;
  readonly #clock: Clock;
  readonly #workload: Workload<Entry, Batch, Result>;
  readonly #alarm: Alarm;
  /** In the order of their positions. */
  #waiters: Waiter[] = [];
  /** No waiter's time is up before. */
  #patience = Infinity;
  /** How many entries there had been when `drained` was last told. */
  #drainedAt = 0;
  #closing: Closing<Batch> | undefined;

  /** The interval's grid starts at `origin`. */
  constructor(workload: Workload<Entry, Batch, Result>, limits: Limits, clock: Clock, origin: number, unref: boolean) {
    this.#workload = workload;
    this.#clock = clock;
    this.ledger = new Ledger(limits, origin);
    this.intake = new Intake<Entry, Batch>(workload, this.ledger, clock, () => {
      this.turn();
    });
    this.#alarm = new Alarm(
      clock,
      (now) => {
        this.turn(now);
      },
      unref,
    );
  }

  /** A batch from an earlier life, of so many entries; before anything else is started. A turn starts it. */
  adopt(batch: Batch, size: number, attempts: number): void {
    const flight = new Flight<Batch>(batch, undefined);
    flight.attempt = attempts;
    this.ledger.adopt(flight, size);
  }

  demand(reason: Trigger = 'demand'): void {
    this.ledger.demand(reason);
    this.intake.gathered();
    this.turn();
  }

  /** Everything accepted so far is delivered as soon as possible. */
  flush(timeout = Infinity): Promise<void> {
    const position = this.ledger.accepted;
    const last = this.#waiters.at(-1);
    const deadline = this.#clock.now() + timeout;
    const shared = last?.position === position && last.deadline === Infinity && deadline === Infinity;
    const waiter = shared ? last : Object.assign(new Deferred(), { position, deadline, timeout, error: undefined });
    if (!shared) this.#waiters.push(waiter);
    this.#patience = Math.min(this.#patience, deadline);
    this.demand();
    return waiter.promise;
  }

  /** Takes entries back out of a batch, open or under way; what becomes of them is the caller's business. */
  withdraw(batch: Batch, count: number, weight: number): void {
    const { ledger } = this;
    if (this.intake.batch === batch) ledger.withdraw(undefined, count, weight);
    else {
      const flights = [...ledger.active, ...ledger.queue] as Flight<Batch>[]; // every cut here is a flight
      const flight = flights.find((one) => one.batch === batch);
      if (flight !== undefined) ledger.withdraw(flight, count, weight);
    }
    this.turn();
  }

  /** Drops the oldest batch that is not running; `false` if there is none. */
  dropOldest(error: Error): boolean {
    const { ledger } = this;
    if (ledger.oldestWaiting() === undefined && ledger.size > 0 && ledger.entering === ledger.ready) {
      this.intake.seal('demand');
    }
    const oldest = ledger.oldestWaiting() as Flight<Batch> | undefined; // every cut here is a flight
    if (oldest === undefined) return false;
    ledger.settle(oldest); // first: those who are told may call back
    this.#drop(oldest, error, 'overflow');
    this.turn();
    return true;
  }

  /**
   * Takes no more: delivers what is pending until the deadline (`flush`), or waits only for what runs. Resolves when
   * nothing runs any more, with what was left over.
   */
  async close(timeout: number, flush: boolean): Promise<Left<Batch>> {
    const deadline = this.#clock.now() + timeout;
    const left: Left<Batch> = { batches: [], entries: 0, cause: undefined };
    const closing: Closing<Batch> = { deadline, flush, left, done: new Deferred() };
    this.#closing = closing;
    if (flush) this.demand('close');
    else this.#abandon(false);
    this.turn();
    await closing.done.promise;
    return left;
  }

  /** Looks at the numbers and moves as far as it can. Every event ends here; one turn too many changes nothing. */
  turn(now: number = this.#clock.now()): void {
    const { ledger } = this;
    ledger.fire(now);
    while (this.#step(now));
    this.#conclude(now);
    this.intake.clear();
    let deadline = Math.min(ledger.deadline(), this.#patience);
    if (this.#closing !== undefined && !this.#idle) deadline = Math.min(deadline, this.#closing.deadline);
    this.#alarm.set(deadline);
  }

  /** One move, or `false` if there is none to make. */
  #step(now: number): boolean {
    const { ledger } = this;
    const expired = ledger.expired(now) as Flight<Batch> | undefined; // every cut here is a flight
    if (expired !== undefined) {
      const what = expired.chore === undefined ? (this.#workload.work ?? 'a flush') : 'the work after a flush';
      this.#fail(expired, expired.begun, new TimeoutError(what, ledger.limits.attempt), true);
      return true;
    }
    if (ledger.entering > ledger.ready && ledger.entryDeadline <= now) {
      this.intake.expire();
      return true;
    }
    const flight = ledger.startable(now) as Flight<Batch> | undefined; // every cut here is a flight
    if (flight !== undefined) {
      this.#start(flight, now);
      return true;
    }
    const reason = ledger.due();
    if (reason !== undefined) {
      this.intake.seal(reason);
      return true;
    }
    return this.intake.step();
  }

  // Batches

  #start(flight: Flight<Batch>, now: number): void {
    this.ledger.begin(flight, now);
    const run = flight.begun;
    let result: unknown;
    try {
      result = flight.chore === undefined ? this.#workload.run(flight) : flight.chore();
    } catch (error) {
      this.#fail(flight, run, error, false);
      return;
    }
    if (!isThenable(result)) {
      this.#succeed(flight, run, result);
      return;
    }
    Promise.resolve(result).then(
      (value) => {
        this.#succeed(flight, run, value);
        this.turn();
      },
      (error: unknown) => {
        this.#fail(flight, run, error, false);
        this.turn();
      },
    );
  }

  #succeed(flight: Flight<Batch>, run: number, result: unknown): void {
    if (run <= flight.ended) return;
    this.#end(flight);
    if (flight.chore === undefined) {
      const now = this.#clock.now();
      this.ledger.finish(flight);
      this.ledger.lastFlush = now;
      this.#follow(flight, this.#workload.delivered(flight, result as Result, now), undefined);
    } else this.#settle(flight);
  }

  #fail(flight: Flight<Batch>, run: number, error: unknown, expired: boolean): void {
    if (run <= flight.ended) return;
    this.#end(flight, expired ? error : undefined);
    flight.failure = error;
    const verdict = this.#workload.judge(flight, error);
    if (flight.chore !== undefined) this.#failChore(flight, error, verdict);
    else if (this.#closing !== undefined && (verdict === 'hold' || !this.#closing.flush)) this.#leave(flight, error);
    else if (verdict === 'drop') this.#drop(flight, error, 'giveUp');
    else if (verdict === 'hold') {
      this.ledger.hold(flight, this.#clock.now());
      const refusal = this.#workload.held(flight, error);
      for (const waiter of this.#waiters) if (waiter.position > flight.from) waiter.reject(refusal);
      this.#waiters = this.#waiters.filter((waiter) => waiter.position <= flight.from);
    } else {
      const retryAt = this.#clock.now() + Math.max(verdict, SOON);
      this.ledger.park(flight, retryAt);
      this.#workload.failed(flight, error, retryAt);
    }
  }

  /** The batch is delivered or dropped all the same; only what follows is tried again, without its lane. */
  #failChore(flight: Flight<Batch>, error: unknown, verdict: Verdict): void {
    this.#settle(flight);
    if (typeof verdict !== 'number' || this.#closing !== undefined) {
      this.#workload.failed(flight, error, Infinity);
      return;
    }
    const retryAt = this.#clock.now() + Math.max(verdict, SOON);
    this.ledger.park(flight, retryAt);
    this.ledger.retain(flight);
    this.#workload.failed(flight, error, retryAt);
  }

  #drop(flight: Flight<Batch>, error: unknown, why: 'overflow' | 'giveUp'): void {
    this.ledger.finish(flight);
    const { error: refusal, chore } = this.#workload.dropped(flight, error, why);
    for (const waiter of this.#waiters) if (waiter.position > flight.from) waiter.error ??= refusal;
    this.#follow(flight, chore, refusal);
  }

  /** The batch's fate is sealed: those who wait for it learn it after the first attempt at what follows. */
  #follow(flight: Flight<Batch>, chore: Chore | undefined, refusal: Error | undefined): void {
    flight.refusal = refusal;
    if (refusal !== undefined) flight.outcome?.reject(refusal);
    if (chore === undefined) {
      this.#settle(flight);
      return;
    }
    flight.chore = chore;
    flight.attempt = 0;
    flight.deadline = -Infinity; // the next step starts it
  }

  #end(flight: Flight<Batch>, aborted?: unknown): void {
    this.ledger.end(flight);
    flight.end(aborted);
  }

  #settle(flight: Flight<Batch>): void {
    this.ledger.settle(flight);
    flight.outcome?.resolve();
  }

  // The end

  /** Tells those who wait what has come true. */
  #conclude(now: number): void {
    const { ledger } = this;
    if (this.#closing !== undefined && this.#closing.deadline <= now && !this.#idle) this.#abandon(true);
    const settled = this.#waiters.length > 0 ? ledger.settled : 0;
    for (let first = this.#waiters[0]; first !== undefined && first.position <= settled; first = this.#waiters[0]) {
      this.#waiters.shift();
      if (first.error === undefined) first.resolve();
      else first.reject(first.error);
    }
    if (this.#patience <= now) this.#loseWaiters(now);
    else if (this.#waiters.length === 0) this.#patience = Infinity;
    const total = ledger.accepted + ledger.adopted;
    if (this.#drainedAt < total && ledger.settled === ledger.accepted) {
      this.#drainedAt = total;
      this.#workload.drained();
    }
    this.#workload.settled();
    if (this.#closing !== undefined && this.#idle) this.#closing.done.resolve();
  }

  /** Those whose time is up. */
  #loseWaiters(now: number): void {
    for (const waiter of this.#waiters) {
      if (waiter.deadline <= now) waiter.reject(new TimeoutError('flush', waiter.timeout));
    }
    this.#waiters = this.#waiters.filter((waiter) => waiter.deadline > now);
    this.#patience = Math.min(...this.#waiters.map((waiter) => waiter.deadline), Infinity);
  }

  /** Nothing is pending, and nothing is left to be done after it. */
  get #idle(): boolean {
    const { ledger } = this;
    return (
      ledger.active.length === 0 && ledger.queue.length === 0 && ledger.ready === ledger.accepted && ledger.size === 0
    );
  }

  /** Gives up what does not run, or everything: refuses what has not joined, and leaves the batches to the closing. */
  #abandon(running: boolean): void {
    const { ledger } = this;
    const closed = new ClosedError('closed before it was delivered');
    if (this.#closing !== undefined) this.#closing.left.entries += ledger.accepted - ledger.ready;
    this.intake.abandon(closed);
    this.intake.seal('close');
    for (let flight = this.#remaining(running); flight !== undefined; flight = this.#remaining(running)) {
      if (flight.running) this.#end(flight, closed);
      if (flight.chore === undefined) this.#leave(flight, closed);
      else {
        this.#settle(flight);
        this.#workload.failed(flight, closed, Infinity);
      }
    }
  }

  /** The oldest that is under way or waits. */
  #remaining(running: boolean): Flight<Batch> | undefined {
    const flights = [...this.ledger.active, ...this.ledger.queue] as Flight<Batch>[]; // every cut here is a flight
    return flights
      .filter((flight) => (running || !flight.running) && (!flight.finished || flight.chore !== undefined))
      .sort((a, b) => a.from - b.from)[0];
  }

  /** An undelivered batch leaves the log, for the closing to report. */
  #leave(flight: Flight<Batch>, error: unknown): void {
    const left = this.#closing?.left;
    left?.batches.push(flight.batch);
    if (left !== undefined) {
      left.entries += flight.size;
      left.cause ??= flight.failure ?? error;
    }
    const closed = error instanceof ClosedError ? error : new ClosedError('closed before it was delivered', error);
    flight.outcome?.reject(closed);
    for (const waiter of this.#waiters) if (waiter.position > flight.from) waiter.error ??= closed;
    this.ledger.settle(flight);
  }
}
