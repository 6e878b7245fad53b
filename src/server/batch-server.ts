import { type AnyCall, Call } from './call.js';
import type { AnyHooks } from './chain.js';
import { configOf } from './config.js';
import { Lifecycle } from './lifecycle.js';
import { type Entry, castOf, infoOf } from './mailbox.js';
import { RequestId } from './requests.js';
import { Sys } from './sys.js';
import type {
  BatchServerEvents,
  BatchServerHooks,
  BatchServerOptions,
  BatchServerStatus,
  CallOptions,
  MailboxSummary,
  Next,
  Op,
  StartArguments,
  Startable,
  StopOptions,
} from './types.js';
import type { Listener } from '../events.js';
import { type Awaitable, capture, captured, ignorableRejection } from '../core/promise.js';
import { systemClock } from '../core/clock.js';
import { checkCallOptions, checkVerbOptions } from '../options/verbs.js';
import { checkServerOptions } from '../options/server.js';
import { optionsError } from '../options/check.js';

/** Timeout of a call, in milliseconds. */
const DEFAULT_TIMEOUT = 5000;

/* eslint-disable @typescript-eslint/no-unsafe-declaration-merging --
   the class declares its optional hooks by merging with their interface, so that subclasses may leave them out */
/** The optional hooks of a batch server, as methods of a subclass. */
export interface BatchServer<State, Request, Reply, Cast, Info> {
  /** Called after `{ continue: term }`, before any further message. If it fails, the server stops. */
  handleContinue?(term: unknown, state: State): Awaitable<Next<State> | void>;
  /** Called last, to release what the state holds: see `BatchServerHooks.terminate`. */
  terminate?(
    reason: unknown,
    state: State,
    mailboxSummary?: MailboxSummary<Op<Request, Reply, Cast, Info>>,
  ): Awaitable<void>;
  /** Returns what `sys.getStatus` shows in place of the state. If it fails, the state is shown. */
  formatStatus?(state: State): unknown;
}

/**
 * A server with a state. It takes messages one by one and handles them in batches: everything that arrived while the
 * previous batch was handled, up to a limit that grows under load and shrinks when idle.
 *
 * Modelled on RabbitMQ's gen_batch_server: write a subclass with `init` and `handleBatch`, and call `start` on it.
 *
 * @example
 * class Counter extends BatchServer<number, 'total', number, number> {
 *   init() {
 *     return { state: 0 };
 *   }
 *   handleBatch(ops: readonly Op<'total', number, number>[], state: number) {
 *     for (const op of ops) {
 *       if (op.kind === 'cast') state += op.message;
 *       else if (op.kind === 'call') op.reply(state);
 *     }
 *     return { state };
 *   }
 * }
 * const counter = await Counter.start();
 * counter.cast(5);
 * console.log(await counter.call('total')); // 5
 */
export abstract class BatchServer<
  State,
  Request = never,
  Reply = void,
  Cast = never,
  Info = unknown,
> implements BatchServerHooks<State, Request, Reply, Cast, Info> {
  /**
   * Resolves with the reason when the server has stopped, or with `'ignored'`. If the reason is a thenable, it resolves
   * with the `StoppedError` instead. Never rejects.
   */
  readonly ended: Promise<unknown>;
  /** Inspects the server and controls it from outside. */
  readonly sys: Sys<State, Request, Reply, Cast, Info>;
  readonly #life: Lifecycle;

  /**
   * Called by `start`.
   *
   * @throws `OptionsError`
   */
  constructor(options: BatchServerOptions = {}) {
    const { name } = this.constructor;
    checkServerOptions(name, options);
    const hooks = this as unknown as AnyHooks; // it is given messages of its own types only
    this.#life = new Lifecycle(hooks, configOf(name, options), options.clock ?? systemClock);
    this.ended = this.#life.ended;
    this.sys = new Sys(this.#life, hooks);
  }

  /**
   * Makes a server and calls `init` with `args`. Resolves with the server when `init` is done.
   *
   * @throws Rejects with `StoppedError` if `init` returned `{ stop: reason }`, with what `init` threw, with
   * `MissingHookError`, or with `OptionsError`.
   */
  static async start<Server extends Startable>(
    this: new (options?: BatchServerOptions) => Server,
    ...[args, options]: StartArguments<Server['init']>
  ): Promise<Server> {
    const server = new this(options ?? undefined);
    await BatchServer.#lifeOf(server).begin(args);
    return server;
  }

  static #lifeOf(server: object): Lifecycle {
    return (server as BatchServer<unknown>).#life;
  }

  /**
   * Makes the state from the `args` of `start`. `{ ignore: true }` declines to run; `{ stop: reason }` makes `start`
   * reject.
   */
  abstract init(args: unknown): Awaitable<Next<State> | { ignore: true } | void>;

  /** Handles a batch; may return the next state. If it fails, the server stops, and callers get `StoppedError`. */
  abstract handleBatch(ops: readonly Op<Request, Reply, Cast, Info>[], state: State): Awaitable<Next<State> | void>;

  /** Sends a message without waiting for an answer. Returns `false` if it was not accepted: stopped, or `maxPending`. */
  cast(message: Cast): boolean {
    return this.#put('cast', castOf(message));
  }

  /**
   * Sends several messages, which are handled in order and in one batch (unless `hardLimit` splits it). Returns `false` if
   * none of them was accepted.
   *
   * @throws `OptionsError` if `messages` is no iterable or a string, and whatever the iterable throws.
   */
  castBatch(messages: Iterable<Cast>): boolean {
    if (
      typeof messages === 'string' ||
      typeof (messages as Partial<Iterable<Cast>> | null)?.[Symbol.iterator] !== 'function'
    )
      throw optionsError('castBatch', 'messages', 'a list', messages);
    // A copy first: iterators and getters are the caller's code, which may throw or cast as well.
    const list: Entry[] = [...messages];
    const { admission, loop } = this.#life;
    if (list.length === 0) return !admission.closed;
    if (!admission.open && admission.turnsAway('cast', list.length)) return false;
    for (let i = 0; i < list.length; i++) list[i] = castOf(list[i]);
    loop.acceptGroup(list);
    return true;
  }

  /** Sends a message of any other kind. Returns `false` if it was not accepted. */
  info(message: Info): boolean {
    return this.#put('info', infoOf(message));
  }

  /**
   * Sends a request and waits for the reply. After a timeout or an abort the request is handled all the same, and its reply
   * is dropped. A handler that awaits a call to its own server waits for itself.
   *
   * @throws Rejects with the error that the handler passed to `fail`, with `TimeoutError` after `timeout` (5000 ms by
   * default), with the signal's reason, with `OverflowError`, with `StoppedError`, or with `OptionsError`.
   */
  call(request: Request, options?: CallOptions | null): Promise<Reply> {
    const promise = new Promise<Reply>(capture);
    const { resolve, reject } = captured;
    try {
      checkCallOptions(options);
      const { timeout, signal } = options ?? {};
      if (signal?.aborted === true) reject(signal.reason);
      else this.#send(request, timeout ?? DEFAULT_TIMEOUT, resolve, reject, signal);
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  /** Sends a request whose answer is looked up later. Never throws: a server that has stopped is an answer as well. */
  sendRequest(request: Request): RequestId<Reply> {
    return new RequestId<Reply>(this.#life.clock, (resolve, reject) => this.#send(request, Infinity, resolve, reject));
  }

  /**
   * Accepts nothing more, handles what was accepted (`pending: 'drain'`) or only finishes the batch that runs
   * (`'reject'`), runs `terminate`, and rejects the callers that still wait with `StoppedError`. Ends a suspension.
   *
   * The promise may be ignored. Calling `stop` again returns the same promise.
   *
   * @throws Rejects with `TimeoutError` after `timeout`, and with `StoppedError` if a hook failed meanwhile; the server has
   * stopped all the same. Rejects with `OptionsError`, in which case the server goes on.
   */
  stop(reason: unknown = 'normal', options?: StopOptions | null): Promise<void> {
    try {
      checkVerbOptions('stop', options);
      return this.#life.stop(reason, options?.timeout ?? Infinity, options?.pending !== 'reject');
    } catch (error) {
      return ignorableRejection(error);
    }
  }

  /** Calls `stop('shutdown', options)`. */
  close(options?: StopOptions | null): Promise<void> {
    return this.stop('shutdown', options);
  }

  /** Calls `close()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whether the server starts, runs, is suspended, was ignored by its `init`, or has stopped. */
  get status(): BatchServerStatus {
    return this.#life.status;
  }

  /** Adds a listener; returns a function that removes it. */
  on<Name extends keyof BatchServerEvents>(event: Name, listener: Listener<BatchServerEvents[Name]>): () => void {
    return this.#life.monitor.events.on(event, listener);
  }

  /** Removes a listener. */
  off<Name extends keyof BatchServerEvents>(event: Name, listener: Listener<BatchServerEvents[Name]>): void {
    this.#life.monitor.events.off(event, listener);
  }

  #put(kind: 'cast' | 'info', entry: Entry): boolean {
    const { admission, loop } = this.#life;
    if (!admission.open && admission.turnsAway(kind, 1)) return false;
    loop.accept(entry);
    return true;
  }

  #send(
    request: Request,
    timeout: number,
    resolve: (reply: Reply) => void,
    reject: (error: unknown) => void,
    signal?: AbortSignal | null,
  ): Call<Request, Reply> {
    const { admission, calls } = this.#life;
    const call = new Call(calls, request, timeout, resolve, reject);
    if (signal != null) call.listenTo(signal);
    admission.take(call as unknown as AnyCall); // it is given messages of its own types only
    return call;
  }
}
