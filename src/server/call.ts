import type { CallOp } from './types.js';
import {
  type Abortable,
  type Awaitable,
  adopt,
  hush,
  isThenable,
  startListening,
  stopListening,
} from '../core/promise.js';

/** Inside the server, requests and replies are of any type; the public class gives them theirs. */
export type AnyCall = Call<unknown, unknown>;

/** The list of the callers that wait. */
export interface Callers {
  /** Set while the server is traced: called for every answer that reaches its caller. */
  readonly onAnswer: ((failed: boolean, answer: unknown) => void) | undefined;
  /** A caller begins to wait. */
  add(): void;
  /** The caller waits no longer; its deadline, if the call was in the heap. */
  left(deadline: number | undefined): void;
}

/**
 * A call or request. Handlers see the public fields; these are own properties, so that a copy made by a spread works.
 * Methods and fields with `#` belong to the server.
 */
export class Call<Request, Reply> implements CallOp<Request, Reply>, Abortable {
  readonly kind = 'call';
  readonly request: Request;
  readonly reply: (value: Awaitable<Reply>) => void;
  readonly fail: (error: unknown) => void;
  readonly #owner: Callers;
  readonly #timeout: number;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: unknown) => void;
  #waits = false;
  /** `reply` or `fail` was called: further answers are ignored. */
  #answered = false;
  /** By the server's clock; `undefined` while the call is not in the heap. (A number would cost an allocation per call.) */
  #deadline: number | undefined = undefined;
  #signal: AbortSignal | undefined = undefined;

  /** Calls no trap, as `instanceof` does with a proxy: that of a revoked one throws. */
  static is(value: unknown): value is AnyCall {
    return typeof value === 'object' && value !== null && #waits in value;
  }

  constructor(
    owner: Callers,
    request: Request,
    timeout: number,
    resolve: (reply: Reply) => void,
    reject: (error: unknown) => void,
  ) {
    this.request = request;
    this.#owner = owner;
    this.#timeout = timeout;
    this.#resolve = resolve;
    this.#reject = reject;
    this.reply = (value) => {
      this.#answer(value, false);
    };
    this.fail = (error) => {
      this.#answer(error as Awaitable<Reply>, true);
    };
  }

  /** Whether the caller still waits. */
  get waits(): boolean {
    return this.#waits;
  }

  /** NaN while the call is not in the heap. */
  get deadline(): number {
    return this.#deadline ?? NaN;
  }

  get timeout(): number {
    return this.#timeout;
  }

  /** The caller begins to wait. */
  enter(): void {
    this.#waits = true;
    this.#owner.add();
  }

  /** Rejects a call that was not accepted and has not entered. */
  turnAway(error: unknown): void {
    if (this.#signal !== undefined) stopListening(this.#signal, this);
    this.#owner.onAnswer?.(true, error);
    this.#reject(error);
  }

  /** Starts the caller's timeout, at the time `now`. */
  startTimeout(now: number): void {
    this.#deadline = now + this.#timeout;
  }

  /** Rejects when the signal aborts. */
  listenTo(signal: AbortSignal): void {
    this.#signal = signal;
    startListening(signal, this);
  }

  aborted(reason: unknown): void {
    this.refuse(reason);
  }

  /** The caller waits no longer; `false` if it had left before. */
  leave(): boolean {
    if (!this.#waits) return false;
    this.#waits = false;
    if (this.#signal !== undefined) stopListening(this.#signal, this);
    this.#owner.left(this.#deadline);
    return true;
  }

  /** Rejects the caller's promise, whatever `reply` was given before. */
  refuse(error: unknown): void {
    if (!this.leave()) return;
    this.#owner.onAnswer?.(true, error);
    this.#reject(error);
  }

  /** Resolves the caller's promise. */
  settle(reply: Reply): void {
    if (!this.leave()) return; // a late reply is dropped
    this.#owner.onAnswer?.(false, reply);
    this.#resolve(reply);
  }

  #answer(answer: Awaitable<Reply>, failed: boolean): void {
    if (this.#answered)
      hush(answer); // the rejection of an ignored promise is no unhandled one
    else {
      this.#answered = true;
      if (isThenable(answer)) this.settleLater(answer, failed);
      else if (failed) this.refuse(answer);
      else this.settle(answer);
    }
  }

  /** The caller waits for the promise, but no longer than its timeout; `failed`: also its value is an error. */
  settleLater(answer: PromiseLike<Reply>, failed: boolean): void {
    adopt(answer).then(
      (value) => {
        if (failed) this.refuse(value);
        else this.settle(value);
      },
      (error: unknown) => {
        this.refuse(error);
      },
    );
  }
}
