import type { CallOp } from './batch-server-contract.js';
import { TimeoutError } from './errors.js';
import { type Awaitable, isThenable } from './kernel/awaitable.js';
import { Alarm, type Clock } from './kernel/clock.js';

/** The end of the turn of the event loop in which calls were made; `Infinity` until it has come. */
interface Moment {
  at: number;
}

/** Callers of the same patience, which are thereby in the order of their deadlines. */
interface Queue {
  readonly timeout: number;
  first: Caller | undefined;
  last: Caller | undefined;
}

/** Somebody who waits for a reply. */
export class Caller {
  /** Its place among those who wait; no queue once it is answered. */
  queue: Queue | undefined;
  previous: Caller | undefined;
  next: Caller | undefined;
  since: Moment | undefined;

  constructor(
    public resolve: (reply: unknown) => void,
    public reject: (error: unknown) => void,
  ) {}
}

/**
 * Everybody who waits for a reply, and for how long.
 *
 * Patience counts from the end of the turn in which the call was made, since no timer could ring before: so a clock is
 * read once per turn instead of once per call, and one alarm serves all.
 */
export class Calls {
  /** How many wait. */
  size = 0;
  /** Told of every answer that reaches its caller, while somebody traces. */
  onAnswer: ((failed: boolean, answer: unknown) => void) | undefined;
  readonly #name: string;
  readonly #alarm: Alarm;
  readonly #queues = new Map<number, Queue>();
  /** The queue that was used last, which is nearly always the one that is needed next. */
  #recent: Queue = { timeout: NaN, first: undefined, last: undefined };
  /** How many of those who wait will not wait for ever. */
  #impatient = 0;
  #turn: Moment = { at: Infinity };

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

  add(caller: Caller, timeout: number): void {
    const queue = this.#recent.timeout === timeout ? this.#recent : this.#queueOf(timeout);
    const { last } = queue;
    caller.queue = queue;
    caller.since = this.#turn;
    caller.previous = last;
    if (last === undefined) queue.first = caller;
    else last.next = caller;
    queue.last = caller;
    this.size++;
    if (timeout < Infinity) this.#impatient++;
  }

  reply(caller: Caller, value: Awaitable<unknown>): void {
    if (caller.queue === undefined) return; // answered, or given up: a late reply is dropped
    if (isThenable(value)) {
      // Until it has settled the caller goes on waiting, but no longer than it wanted to.
      Promise.resolve(value).then(
        (settled) => {
          this.reply(caller, settled);
        },
        (error: unknown) => {
          this.fail(caller, error);
        },
      );
      return;
    }
    this.remove(caller);
    this.onAnswer?.(false, value);
    caller.resolve(value);
  }

  fail(caller: Caller, error: unknown): void {
    if (caller.queue === undefined) return;
    this.remove(caller);
    this.onAnswer?.(true, error);
    caller.reject(error);
  }

  /** It no longer waits. */
  remove(caller: Caller): void {
    const { queue, previous, next } = caller;
    if (queue === undefined) return;
    if (previous === undefined) queue.first = next;
    else previous.next = next;
    if (next === undefined) queue.last = previous;
    else next.previous = previous;
    caller.queue = caller.previous = caller.next = caller.since = undefined;
    this.size--;
    if (queue.timeout < Infinity && --this.#impatient === 0) this.#alarm.set(Infinity);
  }

  /** The turn has ended: the patience of those who came in it begins. */
  turnEnded(now: number): void {
    this.#turn.at = now;
    this.#turn = { at: Infinity };
  }

  /** To be called after the end of a turn. */
  watch(): void {
    if (this.#impatient === 0) return;
    let earliest = Infinity;
    for (const queue of this.#queues.values()) {
      const { first, timeout } = queue;
      if (first?.since !== undefined) earliest = Math.min(earliest, first.since.at + timeout);
      else if (this.#queues.size > FEW_QUEUES && queue !== this.#recent) this.#queues.delete(timeout);
    }
    this.#alarm.set(earliest);
  }

  /** Whoever still waits learns why it is in vain. */
  failAll(error: unknown): void {
    for (const queue of this.#queues.values()) while (queue.first !== undefined) this.fail(queue.first, error);
  }

  #expire(now: number): void {
    for (const { timeout, first } of [...this.#queues.values()]) {
      for (let caller = first; caller?.since !== undefined && caller.since.at + timeout <= now;) {
        const { next } = caller;
        this.fail(caller, new TimeoutError(`a call to ${this.#name}`, timeout));
        caller = next;
      }
    }
    this.watch();
  }

  #queueOf(timeout: number): Queue {
    let queue = this.#queues.get(timeout);
    if (queue === undefined) {
      queue = { timeout, first: undefined, last: undefined };
      this.#queues.set(timeout, queue);
    }
    this.#recent = queue;
    return queue;
  }
}

/** As long as there are no more queues than this, empty ones stay. */
const FEW_QUEUES = 8;

/** A call as the handler sees it. */
export class Call<Request, Reply> implements CallOp<Request, Reply> {
  readonly kind = 'call';
  readonly request: Request;
  readonly #calls: Calls;
  readonly #caller: Caller;

  constructor(request: Request, calls: Calls, caller: Caller) {
    this.request = request;
    this.#calls = calls;
    this.#caller = caller;
  }

  // Getters, so that they can be kept without the op, and cost nothing where they are called at once.

  get reply(): (value: Awaitable<Reply>) => void {
    return (value) => {
      this.#calls.reply(this.#caller, value);
    };
  }

  get fail(): (error: unknown) => void {
    return (error) => {
      this.#calls.fail(this.#caller, error);
    };
  }
}
