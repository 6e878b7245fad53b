import type { DispatchOptions } from './types.js';
import type { Call } from './row.js';
import type { Work } from './portions.js';
import { TimeoutError } from '../errors.js';
import { Alarm, type Clock } from '../core/clock.js';
import { DeadlineHeap, withoutStack } from '../core/deadlines.js';
import { onAbort } from '../core/promise.js';

/** Callers that time out per timer callback, so that tens of thousands at once do not block the event loop. */
const EXPIRIES_PER_TURN = 250;
/** Heap entries of callers that no longer wait are removed once they are more than this many and more than half. */
const FEW_STALE = 1024;

/** A call in the heap. */
interface Timed {
  readonly deadline: number;
  readonly timeout: number;
  readonly call: Call;
}

interface Listeners {
  readonly calls: Set<Call>;
  stop: () => void;
}

export interface WatchParts {
  owner: string;
  clock: Clock;
  /** Takes the values of a call that is over out of its batches. */
  leave: (call: Call, reason: unknown) => void;
  /** Calls `work`, in which many calls may leave, and lets batches start only after it. */
  together(work: () => void): void;
  /** The same for more than one turn of the event loop should hold. */
  inPortions(work: Work): void;
}

/** Lets callers leave by their signal or after their timeout: with one timer, and one listener per signal. */
export class Watch {
  readonly #parts: WatchParts;
  readonly #heap = new DeadlineHeap<Timed>();
  /** Calls of the heap that still wait. */
  #timed = 0;
  readonly #alarm: Alarm;
  readonly #signals = new Map<AbortSignal, Listeners>();

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#alarm = new Alarm(
      parts.clock,
      (now) => {
        this.#expire(now);
      },
      false,
    );
  }

  add(call: Call, { signal, timeout }: DispatchOptions): void {
    if (signal?.aborted === true) {
      this.#giveUp(call, signal.reason);
      return;
    }
    const timed = timeout != null && timeout < Infinity;
    call.release = () => {
      if (signal != null) this.#unlisten(call, signal);
      if (timed) this.#forget();
    };
    if (signal != null) this.#listen(call, signal);
    if (!timed) return;
    const now = this.#parts.clock.now();
    call.deadline = now + timeout;
    this.#heap.push({ deadline: call.deadline, timeout, call });
    this.#timed++;
    this.#alarm.set((this.#heap.top as Timed).deadline, now); // it has one now
  }

  #giveUp(call: Call, error: unknown): void {
    if (call.over) return;
    call.aborted = true;
    call.fail(error);
    this.#parts.leave(call, error);
  }

  // Timeouts

  #expire(now: number): void {
    const heap = this.#heap;
    const expired: Timed[] = [];
    for (let { top } = heap; top !== undefined; { top } = heap) {
      if (!top.call.over) {
        if (top.deadline > now || expired.length === EXPIRIES_PER_TURN) break;
        expired.push(top);
      }
      heap.pop();
    }
    const what = `a call of ${this.#parts.owner}`;
    const errors = withoutStack(() => expired.map(({ timeout }) => new TimeoutError(what, timeout)));
    this.#parts.together(() => {
      for (const [i, { call }] of expired.entries()) this.#giveUp(call, errors[i]);
    });
    this.#alarm.set(heap.top?.deadline ?? Infinity);
  }

  /** The call waits no longer. While it is on top of the heap, the timer fires too early once and is set again. */
  #forget(): void {
    this.#timed--;
    const stale = this.#heap.size - this.#timed;
    if (this.#timed === 0) {
      this.#heap.clear();
      // At once: an idle serving holds no timer, which would keep the process alive.
      this.#alarm.set(Infinity, 0);
    } else if (stale > FEW_STALE && stale > this.#timed) this.#heap.keep(({ call }) => !call.over);
  }

  // Signals

  #listen(call: Call, signal: AbortSignal): void {
    const known = this.#signals.get(signal);
    if (known !== undefined) {
      known.calls.add(call);
      return;
    }
    const listeners: Listeners = { calls: new Set([call]), stop: () => undefined };
    this.#signals.set(signal, listeners);
    listeners.stop = onAbort(signal, () => {
      this.#signals.delete(signal);
      const leaving = [...listeners.calls].filter((one) => !one.over);
      // At once: neither a result nor another error reaches them while they wait for their portion.
      for (const one of leaving) one.over = one.aborted = true;
      this.#parts.inPortions(this.#leaveOneByOne(leaving, signal.reason));
    });
  }

  *#leaveOneByOne(calls: readonly Call[], reason: unknown): Work {
    for (const call of calls) {
      call.dismiss(reason);
      this.#parts.leave(call, reason);
      yield call.bulk ?? 1;
    }
  }

  #unlisten(call: Call, signal: AbortSignal): void {
    const listeners = this.#signals.get(signal);
    if (listeners?.calls.delete(call) !== true || listeners.calls.size > 0) return;
    this.#signals.delete(signal);
    listeners.stop();
  }
}
