import { ClosedError, TimeoutError } from '../errors.js';
import { Deferred, isThenable } from './promise.js';
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
  /** Whether a turn is under way, and whether something has happened since it looked last. */
  #turning = false;
  #again = false;

  /** The interval's grid starts at `origin`. */
  constructor(workload: Workload<Entry, Batch, Result>, limits: Limits, clock: Clock, origin: number, unref: boolean) {
    this.#workload = workload;
    this.#clock = clock;
    this.ledger = new Ledger(limits, origin);
    this.intake = new Intake<Entry, Batch>(workload, this.ledger, clock, () => this.turn());
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
    const shared =
      last?.position === position && last.error === undefined && last.deadline === Infinity && deadline === Infinity;
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
    this.intake.close();
    if (flush) this.demand('close');
    else this.turn();
    await closing.done.promise;
    return left;
  }

  /**
   * Looks at the numbers and moves as far as it can. Every event ends here; one turn too many changes nothing.
   *
   * `false` if it was called from within a turn, by a hook or a listener: that turn then goes on until nothing is left to
   * do, so that callers who call back do not nest deeper and deeper.
   */
  turn(now: number = this.#clock.now()): boolean {
    this.#again = true;
    if (this.#turning) return false;
    this.#turning = true;
    for (let at = now; this.#again; at = this.#clock.now()) {
      this.#again = false;
      this.ledger.fire(at);
      while (this.#step(at));
      this.#conclude(at);
    }
    this.#turning = false;
    this.intake.clear();
    let deadline = Math.min(this.ledger.deadline(), this.#patience);
    if (this.#closing !== undefined && !this.#idle) deadline = Math.min(deadline, this.#closing.deadline);
    this.#alarm.set(deadline);
    return true;
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
    const reason = this.intake.still ? ledger.due() : undefined;
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
      this.ledger.delivered(now);
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
    else if (verdict === 'drop') {
      if (this.#closing !== undefined) this.#report(this.#closing.left, flight, error);
      this.#drop(flight, error, 'giveUp');
    } else if (verdict === 'hold') {
      this.ledger.hold(flight, this.#clock.now());
      // Before it is told: a flush that is called then is another one.
      const covered = this.#waiters.filter((waiter) => waiter.position > flight.from);
      this.#waiters = this.#waiters.filter((waiter) => waiter.position <= flight.from);
      const refusal = this.#workload.held(flight, error);
      for (const waiter of covered) waiter.reject(refusal);
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
    // Before it is told: a flush that is called then is another one.
    const covered = this.#waiters.filter((waiter) => waiter.position > flight.from && waiter.error === undefined);
    const told = new ClosedError('not told yet');
    for (const waiter of covered) waiter.error = told;
    const { error: refusal, chore } = this.#workload.dropped(flight, error, why);
    for (const waiter of covered) waiter.error = refusal;
    this.#follow(flight, chore, refusal);
  }

  /** The batch's fate is sealed; a flush that covers it waits for the first attempt at what follows. */
  #follow(flight: Flight<Batch>, chore: Chore | undefined, refusal: Error | undefined): void {
    flight.refusal = refusal;
    if (refusal === undefined) flight.outcome?.resolve();
    else flight.outcome?.reject(refusal);
    if (chore === undefined) {
      this.#settle(flight);
      return;
    }
    if (flight.lane < 0) this.ledger.retain(flight); // it had left already
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
    if (this.#closing !== undefined && !this.#idle) this.#abandon(this.#closing, now);
    const settled = this.#waiters.length > 0 ? ledger.settled : 0;
    let told = 0;
    for (; (this.#waiters[told]?.position ?? Infinity) <= settled; told++);
    for (const waiter of told > 0 ? this.#waiters.splice(0, told) : []) {
      if (waiter.error === undefined) waiter.resolve();
      else waiter.reject(waiter.error);
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
    // One by one: a call takes only so many arguments.
    this.#patience = this.#waiters.reduce((earliest, { deadline }) => Math.min(earliest, deadline), Infinity);
  }

  /** Nothing is pending, and nothing is left to be done after it. */
  get #idle(): boolean {
    const { ledger } = this;
    const empty = ledger.ready === ledger.accepted && ledger.size === 0 && this.intake.still;
    return empty && ledger.active.length === 0 && ledger.queue.length === 0;
  }

  /**
   * Gives up what does not run, or when its time is up everything: refuses what has not joined, and leaves the batches to
   * the closing. An entry in the hands of a hook that has not returned is left to the turn after it.
   */
  #abandon(closing: Closing<Batch>, now: number): void {
    const running = closing.deadline <= now;
    if (closing.flush && !running) return;
    if (this.intake.inHook) return;
    const closed = new ClosedError('closed before it was delivered');
    closing.left.entries += this.intake.abandon(closed);
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

  #report(left: Left<Batch>, flight: Flight<Batch>, error: unknown): void {
    left.batches.push(flight.batch);
    left.entries += flight.size;
    left.cause ??= flight.failure ?? error;
  }

  /** An undelivered batch leaves the log, for the closing to report. */
  #leave(flight: Flight<Batch>, error: unknown): void {
    if (this.#closing !== undefined) this.#report(this.#closing.left, flight, error);
    const closed = new ClosedError('closed before it was delivered', flight.failure);
    flight.outcome?.reject(closed);
    for (const waiter of this.#waiters) if (waiter.position > flight.from) waiter.error ??= closed;
    this.ledger.settle(flight);
  }
}
