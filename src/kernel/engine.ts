import { ClosedError, TimeoutError } from '../errors.js';
import { type Awaitable, Deferred, RESOLVED, ignorableRejection, isThenable } from './awaitable.js';
import { Alarm, type Clock } from './clock.js';
import { Fifo } from './fifo.js';
import { type Chore, Flight, type Stage, type Verdict, type Workload } from './flight.js';
import { Ledger, type Limits, type Trigger } from './ledger.js';

/** Someone who waits for everything below `position`. */
interface Waiter extends Pick<Deferred, 'resolve' | 'reject'> {
  position: number;
  deadline: number;
  timeout: number;
  error: Error | undefined;
}

/** Someone who waits for an entry that has not joined yet. */
interface Joiner extends Pick<Deferred, 'resolve' | 'reject'> {
  until: Until;
}

/** For what the promise of an entry waits: its batch, or (if the entry did not make that due) only that it has joined. */
export type Until = 'joined' | 'delivered';

export interface Closing {
  readonly deadline: number;
  /** What was not delivered, and the first reason why. */
  readonly left: { batches: unknown[]; entries: number; cause: unknown };
  readonly done: Deferred;
  readonly flush: boolean;
}

const NONE = Symbol('no open batch');

/** The smallest delay before another attempt, so that a delay of zero cannot occupy the event loop for ever. */
const SOON = 1;

/**
 * Does what the ledger decides: it owns the entries that wait, the open batch, those under way, everybody who waits for
 * them, and one alarm.
 *
 * 5. No await inside a transition: whenever user code can see the engine, the ledger's invariants hold. User code may
 *    call back into it from anywhere.
 * 6. An empty engine arms no timer.
 * 7. Every promise handed out is settled in the end; a run that answers after it expired is ignored.
 * 8. With one lane, batches are delivered in the order of acceptance, also across retries.
 */
export class Engine<Entry, Batch, Result = void> {
  readonly ledger: Ledger;
  readonly #clock: Clock;
  readonly #workload: Workload<Entry, Batch, Result>;
  readonly #alarm: Alarm;
  /** Whether each entry needs more than its add hook: a weight, or a look before and after. */
  readonly #selective: boolean;
  /** Entries that wait while another is on its way, and when each was accepted (kept only if an age depends on it). */
  readonly #inbox = new Fifo<Entry>();
  readonly #acceptedAt = new Fifo<number>();
  readonly #joiners = new Map<number, Joiner>();
  readonly #waiters: Waiter[] = [];
  #open: Batch | typeof NONE = NONE;
  #outcome: Deferred | undefined;
  /** The position below which an entry joins the open batch without anything to decide; 0 when in doubt. */
  #clear = 0;
  #capacity = 0;
  /** The entry on its way, while its hook has not answered. */
  #entry: Entry | undefined;
  /** The last refusal: its position and error. */
  #refusedAt = -1;
  #refusal: Error | undefined;
  /** The position up to which `drained` has been told. */
  #drainedAt = 0;
  #closing: Closing | undefined;

  /** The interval's grid starts at `origin`. */
  constructor(workload: Workload<Entry, Batch, Result>, limits: Limits, clock: Clock, origin: number, unref: boolean) {
    this.#workload = workload;
    this.#clock = clock;
    this.ledger = new Ledger(limits, origin);
    this.#selective = workload.weigh !== undefined || workload.due !== undefined;
    this.#alarm = new Alarm(
      clock,
      (now) => {
        this.turn(now);
      },
      unref,
    );
  }

  /** The state of the open batch. */
  get batch(): Batch | undefined {
    return this.#open === NONE ? undefined : this.#open;
  }

  /** How many may be pending for `join` to let an entry in. */
  set capacity(capacity: number) {
    this.#capacity = capacity;
    this.#clear = 0;
  }

  /**
   * The short way in, for an entry that neither opens nor fills its batch; `false` leaves it to `add`. With a hook that
   * answers at once the two cursors are all that is written.
   */
  join(entry: Entry): boolean {
    const { ledger } = this;
    const position = ledger.ready;
    if (position >= this.#clear || ledger.entering !== position) return false;
    ledger.entering = position + 1;
    let next: Awaitable<Batch | undefined>;
    try {
      next = this.#workload.add(this.#open as Batch, entry); // it is clear only while a batch is open
    } catch (error) {
      this.#refuse(entry, error, 'add');
      this.turn();
      return true;
    }
    if (next === undefined) ledger.ready = position + 1;
    else if (!this.#added(next, entry, 0)) return true;
    // The hook may have called back.
    if (position >= this.#clear) this.turn();
    return true;
  }

  /** Takes an entry, without waiting for anything. */
  add(entry: Entry): void {
    if (this.#put(entry)) this.turn();
  }

  /** Takes an entry; the promise rejects only if it will never be delivered. */
  addUntil(entry: Entry, until: Until): Promise<void> {
    const position = this.ledger.accepted;
    const look = this.#put(entry);
    if (this.ledger.ready <= position) {
      const joiner = new Deferred();
      this.#joiners.set(position, { resolve: joiner.resolve, reject: joiner.reject, until });
      return joiner.promise;
    }
    if (this.#refusedAt === position) {
      if (look) this.turn();
      return ignorableRejection(this.#refusal);
    }
    if (!look && until === 'joined') return this.ledger.overdue ? this.#openOutcome() : RESOLVED;
    const outcome = this.#openOutcome();
    if (look) this.turn();
    return until === 'delivered' || this.#isDue(position) ? outcome : RESOLVED;
  }

  /** Was the last call of `add` refused at once, and why? */
  refusalOf(position: number): Error | undefined {
    return this.#refusedAt === position ? this.#refusal : undefined;
  }

  /** Seals the open batch now, if there is anything in it and no entry on its way. */
  seal(reason: Trigger): void {
    if (this.ledger.size === 0) return;
    this.ledger.seal(new Flight<Batch>(this.#open as Batch, this.#outcome), reason); // a size says it is open
    this.#open = NONE;
    this.#outcome = undefined;
    this.#clear = 0;
  }

  demand(reason: Trigger = 'demand'): void {
    this.ledger.demand(reason);
    this.turn();
  }

  /** Everything accepted so far is delivered as soon as possible. */
  flush(timeout = Infinity): Promise<void> {
    const position = this.ledger.accepted;
    const waiter = new Deferred();
    const deadline = this.#clock.now() + timeout;
    this.#waiters.push({ ...pickSettlers(waiter), position, deadline, timeout, error: undefined });
    this.demand();
    return waiter.promise;
  }

  /** Drops the oldest batch that is not running; `false` if there is none. */
  dropOldest(error: Error): boolean {
    const { ledger } = this;
    if (ledger.oldestWaiting() === undefined && ledger.size > 0 && ledger.entering === ledger.ready) {
      this.seal('demand');
    }
    const oldest = ledger.oldestWaiting() as Flight<Batch> | undefined; // every cut here is a flight
    if (oldest === undefined || oldest.chore !== undefined) return false;
    this.#drop(oldest, error, 'overflow');
    this.turn();
    return true;
  }

  /**
   * Takes no more: delivers what is pending until the deadline (`flush`), or waits only for what runs. Resolves when
   * nothing runs any more, with what was left over.
   */
  async close(timeout: number, flush: boolean): Promise<Closing['left']> {
    const deadline = this.#clock.now() + timeout;
    const left: Closing['left'] = { batches: [], entries: 0, cause: undefined };
    const closing: Closing = { deadline, left, done: new Deferred(), flush };
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
    this.#clear = this.#clearance();
    let deadline = ledger.deadline();
    for (const waiter of this.#waiters) deadline = Math.min(deadline, waiter.deadline);
    if (this.#closing !== undefined && !this.#idle) deadline = Math.min(deadline, this.#closing.deadline);
    this.#alarm.set(deadline);
  }

  #clearance(): number {
    const { ledger } = this;
    if (this.#selective || ledger.asked || ledger.waiting > 0 || ledger.size === 0) return 0;
    return Math.min(ledger.sealed + ledger.holes + ledger.limits.size - 1, ledger.finished + this.#capacity);
  }

  /** One move, or `false` if there is none to make. */
  #step(now: number): boolean {
    const { ledger } = this;
    const expired = ledger.expired(now) as Flight<Batch> | undefined; // every cut here is a flight
    if (expired !== undefined) {
      const what = expired.chore === undefined ? 'a flush' : 'the work after a flush';
      this.#fail(expired, expired.begun, new TimeoutError(what, ledger.limits.attempt), true);
      return true;
    }
    if (ledger.entering > ledger.ready && ledger.entryDeadline <= now) {
      const error = new TimeoutError('adding an item', ledger.limits.entry);
      this.#refuse(this.#entry as Entry, error, this.#open === NONE ? 'open' : 'add'); // one is on its way
      return true;
    }
    const flight = ledger.startable(now) as Flight<Batch> | undefined; // every cut here is a flight
    if (flight !== undefined) {
      this.#start(flight, now);
      return true;
    }
    const reason = ledger.due();
    if (reason !== undefined) {
      this.seal(reason);
      return true;
    }
    if (this.#inbox.length > 0 && ledger.entering === ledger.ready) {
      ledger.waiting--;
      this.#join(this.#inbox.shift() as Entry, this.#acceptedAt.shift()); // its length says that there is one
      return true;
    }
    return false;
  }

  // Entries

  /** Takes an entry, and says whether a turn is needed. */
  #put(entry: Entry): boolean {
    const { ledger } = this;
    if (ledger.entering === ledger.ready && ledger.waiting === 0) return this.#join(entry, undefined);
    this.#inbox.push(entry);
    ledger.waiting++;
    this.#clear = 0;
    if (ledger.limits.age < Infinity) this.#acceptedAt.push(this.#clock.now());
    return false;
  }

  #join(entry: Entry, acceptedAt: number | undefined): boolean {
    const { ledger } = this;
    ledger.entering++;
    let weight = 0;
    if (this.#selective) {
      try {
        weight = this.#weigh(entry);
      } catch (error) {
        this.#refuse(entry, error, 'weigh');
        return true;
      }
      this.#makeWay(weight);
    }
    if (ledger.size === 0) ledger.open(acceptedAt ?? this.#clock.now());
    if (this.#open !== NONE) return this.#addTo(this.#open, entry, weight);
    let opened: Awaitable<Batch>;
    try {
      opened = this.#workload.open();
      if (isThenable(opened)) {
        this.#await(entry, opened, 'open', (batch) => {
          this.#open = batch;
          this.#addTo(batch, entry, weight);
        });
        return false;
      }
    } catch (error) {
      this.#refuse(entry, error, 'open');
      return true;
    }
    this.#open = opened;
    return this.#addTo(opened, entry, weight);
  }

  #weigh(entry: Entry): number {
    const weight = this.#workload.weigh?.(entry) ?? 0;
    if (weight >= 0 && weight < Infinity) return weight;
    throw new TypeError(`expected a weight from 0 up, given ${String(weight)}`);
  }

  /** Seals the open batch before an entry that does not fit into it, or because the family says so. */
  #makeWay(weight: number): void {
    const { ledger } = this;
    if (ledger.size === 0) return;
    if (ledger.weight + weight > ledger.limits.weight) this.seal('weight');
    else if (this.#workload.due?.() === true) this.seal('shouldFlush');
    if (ledger.size === 0) this.turn();
  }

  #addTo(batch: Batch, entry: Entry, weight: number): boolean {
    let next: Awaitable<Batch | undefined>;
    try {
      next = this.#workload.add(batch, entry);
    } catch (error) {
      this.#refuse(entry, error, 'add');
      return true;
    }
    return this.#added(next, entry, weight);
  }

  /** The hook has returned: nothing, the next state, or a promise of either. */
  #added(next: Awaitable<Batch | undefined>, entry: Entry, weight: number): boolean {
    if (isThenable(next)) {
      this.#await(entry, next, 'add', (state) => {
        if (state !== undefined) this.#open = state;
        this.#joined(weight);
      });
      return false;
    }
    if (next !== undefined) this.#open = next;
    return this.#joined(weight);
  }

  /** Goes on when the hook has answered, unless the entry was refused for its slowness meanwhile. */
  #await<T>(entry: Entry, answer: PromiseLike<T>, stage: 'open' | 'add', next: (value: T) => void): void {
    const { ledger } = this;
    const position = ledger.ready;
    this.#entry = entry;
    ledger.entryDeadline = this.#clock.now() + ledger.limits.entry;
    if (ledger.entryDeadline < Infinity) this.turn();
    Promise.resolve(answer).then(
      (value) => {
        if (ledger.ready !== position) return;
        next(value);
        this.turn();
      },
      (error: unknown) => {
        if (ledger.ready !== position) return;
        this.#refuse(entry, error, stage);
        this.turn();
      },
    );
  }

  /** Says whether a turn is needed: the first entry sets the deadlines, the last makes the batch due. */
  #joined(weight: number): boolean {
    const { ledger } = this;
    ledger.join(weight);
    if (this.#joiners.size > 0) this.#settleJoiner(ledger.ready - 1);
    if (this.#selective && this.#workload.due?.() === true) ledger.ask('shouldFlush');
    return (
      ledger.size >= ledger.limits.size ||
      ledger.size === 1 ||
      ledger.weight >= ledger.limits.weight ||
      ledger.asked ||
      this.#inbox.length > 0
    );
  }

  #settleJoiner(position: number): void {
    const joiner = this.#joiners.get(position);
    if (joiner === undefined) return;
    this.#joiners.delete(position);
    const outcome = this.#openOutcome();
    if (joiner.until === 'delivered') joiner.resolve(outcome);
    // Whether this entry makes the batch due is known after the turn that follows.
    else joiner.resolve(RESOLVED.then(() => (this.#isDue(position) ? outcome : undefined)));
  }

  #isDue(position: number): boolean {
    return this.ledger.sealed > position || this.ledger.overdue;
  }

  #openOutcome(): Promise<void> {
    this.#outcome ??= new Deferred();
    return this.#outcome.promise;
  }

  #refuse(entry: Entry, error: unknown, stage: Stage): void {
    const { ledger } = this;
    const position = ledger.ready;
    this.#entry = undefined;
    ledger.refuse();
    const refusal = this.#workload.refused(entry, error, stage, position);
    this.#refusedAt = position;
    this.#refusal = refusal;
    this.#joiners.get(position)?.reject(refusal);
    this.#joiners.delete(position);
  }

  // Batches

  #start(flight: Flight<Batch>, now: number): void {
    this.ledger.begin(flight, now);
    const run = flight.begun;
    try {
      const result: unknown = flight.chore === undefined ? this.#workload.run(flight) : flight.chore();
      if (isThenable(result)) {
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
      } else this.#succeed(flight, run, result);
    } catch (error) {
      this.#fail(flight, run, error, false);
    }
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
    const verdict = this.#workload.judge(flight, error);
    if (flight.chore !== undefined) this.#failChore(flight, error, verdict);
    else if (this.#closing !== undefined && (verdict === 'hold' || !this.#closing.flush)) this.#leave(flight, error);
    else if (verdict === 'drop') this.#drop(flight, error, 'giveUp');
    else if (verdict === 'hold') {
      this.ledger.hold(flight);
      const refusal = this.#workload.held(flight, error);
      for (const waiter of this.#waiters.filter((each) => each.position > flight.from)) this.#reject(waiter, refusal);
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
      this.#workload.failed(flight, error, undefined);
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
    if (this.#waiters.length > 0) {
      const settled = ledger.settled;
      for (const waiter of this.#waiters.slice()) {
        if (waiter.position <= settled) {
          if (waiter.error === undefined) this.#resolve(waiter);
          else this.#reject(waiter, waiter.error);
        } else if (waiter.deadline <= now) this.#reject(waiter, new TimeoutError('flush', waiter.timeout));
      }
    }
    if (this.#drainedAt < ledger.accepted && ledger.settled === ledger.accepted) {
      this.#drainedAt = ledger.accepted;
      this.#workload.drained();
    }
    this.#workload.settled();
    if (this.#closing === undefined) return;
    if (!this.#idle && this.#closing.deadline <= now) this.#abandon(true);
    if (this.#idle) this.#closing.done.resolve();
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
    if (ledger.entering > ledger.ready) this.#refuse(this.#entry as Entry, closed, 'closed'); // one is on its way
    while (this.#inbox.length > 0) {
      ledger.waiting--;
      ledger.entering++;
      this.#refuse(this.#inbox.shift() as Entry, closed, 'closed'); // its length says that there is one
    }
    const flights = [...ledger.active, ...ledger.queue] as Flight<Batch>[]; // every cut here is a flight
    for (const flight of flights.sort((a, b) => a.from - b.from)) {
      if (flight.running && !running) continue;
      if (flight.running) this.#end(flight, closed);
      if (flight.chore === undefined) this.#leave(flight, closed);
      else {
        this.#settle(flight);
        this.#workload.failed(flight, closed, undefined);
      }
    }
    if (ledger.size === 0) return;
    this.seal('close');
    this.#leave(ledger.queue.peek() as Flight<Batch>, closed); // the one just sealed: the queue was empty
  }

  /** An undelivered batch leaves the log, for the closing to report. */
  #leave(flight: Flight<Batch>, error: unknown): void {
    const left = this.#closing?.left;
    left?.batches.push(flight.batch);
    if (left !== undefined) {
      left.entries += flight.size;
      left.cause ??= error;
    }
    const closed = error instanceof ClosedError ? error : new ClosedError('closed before it was delivered', error);
    flight.outcome?.reject(closed);
    for (const waiter of this.#waiters) if (waiter.position > flight.from) waiter.error ??= closed;
    this.ledger.settle(flight);
  }

  #resolve(waiter: Waiter): void {
    this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
    waiter.resolve();
  }

  #reject(waiter: Waiter, error: Error): void {
    this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
    waiter.reject(error);
  }
}

function pickSettlers({ resolve, reject }: Deferred): Pick<Deferred, 'resolve' | 'reject'> {
  return { resolve, reject };
}
