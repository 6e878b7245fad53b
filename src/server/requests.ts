import { Alarm, type Clock } from '../core/clock.js';
import { checkWait } from '../options/verbs.js';

/** Milliseconds, `Infinity`, or a time of the server's clock (`performance.now()`); a time in the past looks once. */
export type Wait = number | { readonly at: number };

/** How a request was answered. */
export type Answer<Reply> =
  { readonly kind: 'reply'; readonly reply: Reply } | { readonly kind: 'error'; readonly error: unknown };

/** An answer, with the label that its request has in a collection. */
export type Labelled<Reply, Label> = Answer<Reply> & { readonly label: Label };

export interface Timeout {
  readonly kind: 'timeout';
}

export interface None {
  readonly kind: 'none';
}

export interface NoRequest {
  readonly kind: 'noRequest';
}

export const TIMEOUT: Timeout = /* @__PURE__ */ Object.freeze({ kind: 'timeout' });
export const NONE: None = /* @__PURE__ */ Object.freeze({ kind: 'none' });
export const NO_REQUEST: NoRequest = /* @__PURE__ */ Object.freeze({ kind: 'noRequest' });

/**
 * Key of an id's inner part. Registered globally, as is the count of answers: a process may hold two copies of the package
 * (one imported, one required), and a collection of one accepts the requests of the other.
 */
export const PENDING: unique symbol = Symbol.for('batch-please.request') as never;
const ANSWERS = Symbol.for('batch-please.answers');

/** The position of an answer among all answers of the process. */
function nextAnswer(): number {
  const shared = globalThis as { [ANSWERS]?: number };
  const next = shared[ANSWERS] ?? 0;
  shared[ANSWERS] = next + 1;
  return next;
}

/** The part of a call that is needed here. */
interface Sent {
  leave(): unknown;
}

type Send<Reply> = (resolve: (reply: Reply) => void, reject: (error: unknown) => void) => Sent;

/** The inner part of an id. Another copy of the package reads its public fields. */
class Pending<Reply> {
  answer: Answer<Reply> | undefined;
  /** Position of the answer: see `nextAnswer`. */
  order = 0;
  abandoned = false;
  /** Called when the request is answered or abandoned. */
  readonly listeners = new Set<() => void>();
  readonly #sent: Sent;

  constructor(
    readonly clock: Clock,
    send: Send<Reply>,
  ) {
    this.#sent = send(
      (reply) => {
        this.#settle({ kind: 'reply', reply });
      },
      (error) => {
        this.#settle({ kind: 'error', error });
      },
    );
  }

  abandon(): void {
    if (this.answer !== undefined || this.abandoned) return;
    this.#sent.leave();
    this.abandoned = true;
    this.#notify();
  }

  #settle(answer: Answer<Reply>): void {
    this.answer = answer;
    this.order = nextAnswer();
    this.#notify();
  }

  #notify(): void {
    // A copy: listeners remove themselves.
    for (const listener of [...this.listeners]) listener();
  }
}

/** A request whose answer is looked up later. Its promises never reject. */
export class RequestId<Reply> {
  /** For collections of any copy of the package. @internal */
  declare readonly [PENDING]: Pending<Reply>;

  /** Called by `sendRequest`. */
  constructor(clock: Clock, send: Send<Reply>) {
    this[PENDING] = new Pending(clock, send);
  }

  /**
   * Waits for the answer. After the timeout the request lives on.
   *
   * @param timeout Default: `Infinity`.
   * @throws `OptionsError` if the timeout is wrong.
   */
  wait(timeout: Wait = Infinity): Promise<Answer<Reply> | Timeout> {
    return this.#wait(timeout, () => TIMEOUT);
  }

  /**
   * Waits for the answer. After the timeout the request is abandoned: a late reply is dropped.
   *
   * @param timeout Default: `Infinity`.
   * @throws `OptionsError` if the timeout is wrong.
   */
  receive(timeout: Wait = Infinity): Promise<Answer<Reply> | Timeout> {
    return this.#wait(timeout, () => {
      this[PENDING].abandon();
      return TIMEOUT;
    });
  }

  /** Returns the answer, or `{ kind: 'none' }`, without waiting. */
  check(): Answer<Reply> | None {
    return this[PENDING].answer ?? NONE;
  }

  #wait(timeout: Wait, late: () => Timeout): Promise<Answer<Reply> | Timeout> {
    const pending = this[PENDING];
    const deadline = deadlineOf(timeout, pending.clock);
    const look = (): Answer<Reply> | Timeout | undefined => pending.answer ?? (pending.abandoned ? TIMEOUT : undefined);
    const waiter = new Waiter(look, late, pending.listeners);
    return waiter.wait(deadline, pending.clock);
  }
}

/** Whether it is a request of any copy of the package. */
export function isRequestId(id: unknown): boolean {
  return typeof id === 'object' && id !== null && PENDING in id;
}

/** Throws `OptionsError` if the timeout is wrong. */
export function deadlineOf(timeout: Wait, clock: Clock): number {
  checkWait(timeout);
  return typeof timeout === 'number' ? clock.now() + timeout : timeout.at;
}

/** One wait: ends with what `look` finds, now or when a listener is called, or at the deadline with what `late` returns. */
export class Waiter<Found, Late> {
  #looking = false;

  constructor(
    readonly look: () => Found | undefined,
    readonly late: () => Late,
    readonly listeners: Set<() => void>,
  ) {}

  wait(deadline: number, clock: Clock): Promise<Found | Late> {
    const found = this.look();
    if (found !== undefined) return Promise.resolve(found);
    if (deadline <= clock.now()) return Promise.resolve(this.late());
    return new Promise((resolve) => {
      const onDeadline = (): void => {
        this.listeners.delete(wake);
        resolve(this.late());
      };
      const alarm = new Alarm(clock, onDeadline, false);
      const wake = (): void => {
        const news = this.#lookOnce();
        if (news === undefined || !this.listeners.delete(wake)) return;
        alarm.set(Infinity);
        resolve(news);
      };
      this.listeners.add(wake);
      alarm.set(deadline);
    });
  }

  /** Looking may wake all waits, this one included. */
  #lookOnce(): Found | undefined {
    if (this.#looking) return undefined;
    this.#looking = true;
    const found = this.look();
    this.#looking = false;
    return found;
  }
}
