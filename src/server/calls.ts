import { type AnyCall, Call, type Callers } from './call.js';
import type { Entry } from './mailbox.js';
import { DeadlineHeap, withoutStack } from '../core/deadlines.js';
import { TimeoutError } from '../errors.js';
import { Alarm, type Clock } from '../core/clock.js';

/** Heap entries of callers that no longer wait are removed once they are more than this many and more than half. */
const FEW_STALE = 1024;
/** Callers that time out per timer callback, so that tens of thousands at once do not block the event loop. */
const EXPIRIES_PER_TURN = 250;

/**
 * All callers that wait for a reply, and their timeouts.
 *
 * A timeout starts at the end of the event-loop turn in which the call was made, since no timer could fire before. So the
 * clock is read once per turn instead of once per call, one timer serves all calls, and calls that are answered within
 * their turn never enter the heap. Until the end of the turn the mailbox has them: a list of them here would cost a tenth of
 * a call.
 *
 * Invariants: `#waiting` counts all callers that wait; `#inHeap` those of the heap, `#timed` those of the heap with a
 * finite deadline. All others are in the mailbox, in `#fresh` or in `#ending`. The timer is armed only while `#timed` is
 * above 0, and never for later than the earliest deadline.
 */
export class Calls implements Callers {
  onAnswer: ((failed: boolean, answer: unknown) => void) | undefined;
  readonly #name: string;
  readonly #alarm: Alarm;
  readonly #heap = new DeadlineHeap<AnyCall>();
  /** Calls of the present turn that are not in the mailbox. */
  #fresh: AnyCall[] = [];
  /** Messages of the turn that ended last, while its batches are handled. Calls among them have no deadline yet. */
  #ending: readonly Entry[] = [];
  #endedAt = NaN;
  #waiting = 0;
  #inHeap = 0;
  #timed = 0;

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#alarm = new Alarm(
      clock,
      (now) => {
        this.#expire(now);
      },
      false,
    );
  }

  /** How many callers wait. */
  get size(): number {
    return this.#waiting;
  }

  /** Whether calls wait that are not in the heap yet. */
  get hasFresh(): boolean {
    return this.#waiting > this.#inHeap;
  }

  /** `turnEnded` must follow, and be given the call, unless `keep` is before. */
  add(): void {
    this.#waiting++;
  }

  /** Takes over calls which the mailbox will not have at the end of the turn. */
  keep(messages: readonly Entry[]): void {
    for (const call of freshOf(messages)) this.#fresh.push(call);
  }

  left(deadline: number | undefined): void {
    this.#waiting--;
    if (deadline === undefined) return;
    this.#inHeap--;
    // At once: an idle server holds no timer, which would keep the process alive.
    if (deadline < Infinity && --this.#timed === 0) this.#alarm.set(Infinity, this.#endedAt);
    // Here, since after its last answer an idle server has no round that would do it.
    this.#forgetStale();
  }

  /** Starts the timeouts of this turn's messages; `watch` must follow when the batches of the turn have been handled. */
  turnEnded(now: number, messages: readonly Entry[]): void {
    this.#endedAt = now;
    this.#ending = messages;
    if (this.#fresh.length === 0) return;
    this.#ending = [...this.#fresh, ...messages];
    this.#fresh = [];
  }

  /** Moves the calls that still wait into the heap, and sets the timer. */
  watch(): void {
    const messages = this.#ending;
    this.#ending = [];
    if (this.hasFresh) for (const call of freshOf(messages)) this.#startTimeout(call);
    this.#setTimer();
  }

  /** Rejects all callers that wait. */
  failAll(error: unknown): void {
    for (const calls of [this.#heap.clear(), freshOf(this.#ending), this.#fresh]) {
      for (const call of calls) call.refuse(error);
    }
    this.#ending = [];
    this.#fresh = [];
  }

  /** For `debugState`. */
  get counts(): { waiting: number; inHeap: number; timed: number } {
    return { waiting: this.#waiting, inHeap: this.#inHeap, timed: this.#timed };
  }

  /** Throws if an invariant of this class does not hold; linear. `mailbox`: the messages of the present turn. */
  check(mailbox: readonly Entry[]): void {
    this.#heap.check();
    const inHeap = this.#heap.items.filter((call) => call.waits);
    const timed = inHeap.filter((call) => call.deadline < Infinity).length;
    const elsewhere = new Set(freshOf([...this.#ending, ...this.#fresh, ...mailbox])).size;
    const counted = `${inHeap.length}, ${timed}, ${inHeap.length + elsewhere}`;
    const kept = `${this.#inHeap}, ${this.#timed}, ${this.#waiting}`;
    if (counted !== kept) throw new Error(`calls in the heap, timed, waiting: ${kept}, really ${counted}`);
  }

  #startTimeout(call: AnyCall): void {
    call.startTimeout(this.#endedAt);
    this.#heap.push(call);
    this.#inHeap++;
    if (call.deadline < Infinity) this.#timed++;
  }

  #expire(now: number): void {
    const expired: AnyCall[] = [];
    for (let call = this.#heap.top; call !== undefined; call = this.#heap.top) {
      if (call.waits) {
        if (call.deadline > now || expired.length === EXPIRIES_PER_TURN) break;
        expired.push(call);
      }
      this.#heap.pop();
    }
    const errors = withoutStack(() => expired.map((call) => new TimeoutError(`a call to ${this.#name}`, call.timeout)));
    for (const [i, call] of expired.entries()) call.refuse(errors[i]);
    this.#setTimer();
  }

  /** A call that no longer waits may still be on top: the timer then fires too early once, and is set again. */
  #setTimer(): void {
    const deadline = this.#timed === 0 ? Infinity : this.#heap.top?.deadline;
    // Without a timer to be set, there is no need to read the clock.
    if (deadline === undefined || deadline === Infinity) this.#alarm.set(Infinity, this.#endedAt);
    else this.#alarm.set(deadline);
  }

  #forgetStale(): void {
    const stale = this.#heap.size - this.#inHeap;
    if (this.#inHeap === 0) this.#heap.clear();
    else if (stale > FEW_STALE && stale > this.#inHeap) this.#heap.keep((call) => call.waits);
  }
}

/** The calls among the messages whose callers wait and have no deadline yet. */
function* freshOf(messages: readonly Entry[]): Iterable<AnyCall> {
  for (const entry of messages) {
    if (Call.is(entry) && entry.waits && Number.isNaN(entry.deadline)) yield entry;
  }
}
