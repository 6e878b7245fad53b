import { Call, type Calls } from './calls.js';
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
import { Life, configOf } from './lifecycle.js';
import type { AnyHooks, Batch, Loop } from './loop.js';
import { type Entry, type Mailbox, castOf, infoOf, opOf } from './mailbox.js';
import { RequestId } from './requests.js';
import { Sys } from './sys.js';
import { OverflowError } from '../errors.js';
import type { Listener } from '../events.js';
import { type Awaitable, RESOLVED } from '../core/promise.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { Intake } from '../core/intake.js';
import type { Ledger } from '../core/ledger.js';
import { checkCallOptions, checkVerbOptions } from '../options/verbs.js';
import { checkServerOptions } from '../options/server.js';
import { optionsError } from '../options/check.js';

/** Of a call, in milliseconds. */
const DEFAULT_TIMEOUT = 5000;

/* eslint-disable @typescript-eslint/no-unsafe-declaration-merging --
   the class declares those of its hooks that are optional by merging with their interface: subclasses may leave them out */
export interface BatchServer<State, Request, Reply, Cast, Info> {
  handleContinue?(term: unknown, state: State): Awaitable<Next<State> | void>;
  terminate?(
    reason: unknown,
    state: State,
    mailboxSummary?: MailboxSummary<Op<Request, Reply, Cast, Info>>,
  ): Awaitable<void>;
  formatStatus?(state: State): unknown;
}

/**
 * A server with a state, which takes messages one by one and handles them in batches: whatever has gathered while the
 * batch before was handled, up to a limit that grows under load and shrinks without.
 *
 * After RabbitMQ's gen_batch_server: subclass it, write `init` and `handleBatch`, and call `start` on the subclass.
 */
export abstract class BatchServer<
  State,
  Request = never,
  Reply = void,
  Cast = never,
  Info = unknown,
> implements BatchServerHooks<State, Request, Reply, Cast, Info> {
  /** A promise of the reason why it stopped, or of `'ignored'`; it never rejects. */
  readonly ended: Promise<unknown>;
  /** Looks into the server and steers it from outside. */
  readonly sys: Sys<State, Request, Reply, Cast, Info>;
  readonly #clock: Clock;
  readonly #life: Life;
  readonly #intake: Intake<Entry, Batch>;
  readonly #ledger: Ledger;
  readonly #loop: Loop;
  readonly #mailbox: Mailbox;
  readonly #calls: Calls;

  /** Servers are made by `start`. Throws `OptionsError`. */
  constructor(options: BatchServerOptions = {}) {
    checkServerOptions(this.constructor.name, options);
    this.#clock = options.clock ?? systemClock;
    const hooks = this as unknown as AnyHooks; // messages of its own types are all that it is ever given
    const life = new Life(hooks, configOf(this.constructor.name, options), this.#clock);
    this.#life = life;
    this.#intake = life.engine.intake;
    this.#ledger = life.engine.ledger;
    this.#loop = life.loop;
    this.#mailbox = life.mailbox;
    this.#calls = life.calls;
    this.ended = life.ended;
    this.sys = new Sys(life, hooks);
  }

  /**
   * Resolves with the server when `init` is done.
   *
   * Rejects with `StoppedError` if `init` said `{ stop: reason }`, with what it threw, with `MissingHookError`, or with
   * `OptionsError`.
   */
  static async start<Server extends Startable>(
    this: new (options?: BatchServerOptions) => Server,
    ...[args, options]: StartArguments<Server['init']>
  ): Promise<Server> {
    const server = new this(options ?? undefined);
    await BatchServer.#lifeOf(server).begin(args);
    return server;
  }

  static #lifeOf(server: object): Life {
    return (server as BatchServer<unknown>).#life;
  }

  abstract init(args: unknown): Awaitable<Next<State> | { ignore: true } | void>;

  abstract handleBatch(ops: readonly Op<Request, Reply, Cast, Info>[], state: State): Awaitable<Next<State> | void>;

  /** Takes a message that nobody waits for; `false` if it was not accepted. */
  cast(message: Cast): boolean {
    if (!this.#life.open && this.#turnsAway('cast', 1)) return false;
    this.#take(castOf(message));
    return true;
  }

  /** Takes all of them, in order and in one batch; `false` if they were not accepted, which is then true of all. */
  castBatch(messages: Iterable<Cast>): boolean {
    if (
      typeof messages === 'string' ||
      typeof (messages as Partial<Iterable<Cast>> | null)?.[Symbol.iterator] !== 'function'
    )
      throw optionsError('castBatch', 'messages', 'a list', messages);
    // A copy: iterators and getters are the caller's code, which may throw, or cast as well.
    const list = [...messages];
    const count = list.length;
    if (count === 0) return this.#life.admits >= 0;
    if (!this.#life.open && this.#turnsAway('cast', count)) return false;
    const { accepted } = this.#ledger;
    if (count > 1) this.#mailbox.group(accepted, accepted + count);
    for (let i = 0; i < count; i++) this.#take(castOf(list[i]));
    return true;
  }

  /** Takes a message of any other kind; `false` if it was not accepted. */
  info(message: Info): boolean {
    if (!this.#life.open && this.#turnsAway('info', 1)) return false;
    this.#take(infoOf(message));
    return true;
  }

  /**
   * Waits for the reply. Rejects with what the handler failed it with, with `TimeoutError` after `timeout` (the request
   * is handled all the same, its late reply dropped), with `StoppedError`, with `OverflowError`, or with the signal's
   * reason. A handler that awaits a call to its own server waits for itself.
   */
  call(request: Request, options?: CallOptions | null): Promise<Reply> {
    if (options == null) {
      return new Promise<Reply>((resolve, reject) => {
        this.#send(new Call(request, resolve, reject), DEFAULT_TIMEOUT);
      });
    }
    checkCallOptions(options);
    const timeout = options.timeout ?? DEFAULT_TIMEOUT;
    const { signal } = options;
    return new Promise<Reply>((resolve, reject) => {
      if (signal == null) this.#send(new Call(request, resolve, reject), timeout);
      else this.#sendUntil(request, resolve, reject, timeout, signal);
    });
  }

  /** Sends a request whose answer is looked for later; it never throws for a server that has stopped. */
  sendRequest(request: Request): RequestId<Reply> {
    return new RequestId<Reply>(this.#clock, (resolve, reject) => {
      const call = new Call(request, resolve, reject);
      this.#send(call, Infinity);
      return call;
    });
  }

  /**
   * Takes no more, handles what was accepted (`'drain'`) or only finishes the batch that runs (`'reject'`), runs
   * `terminate` and tells whoever still waits. Ends a suspension.
   *
   * Rejects with `TimeoutError` after `timeout`, and with `StoppedError` if a hook failed on the way; the server has
   * stopped all the same. The promise may be ignored. Calling it again returns the same promise.
   */
  stop(reason: unknown = 'normal', options?: StopOptions): Promise<void> {
    checkVerbOptions('stop', options);
    return this.#life.stop(reason, options?.timeout ?? Infinity, options?.pending !== 'reject');
  }

  /** `stop('shutdown', options)`. */
  close(options?: StopOptions): Promise<void> {
    return this.stop('shutdown', options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get status(): BatchServerStatus {
    return this.#life.status;
  }

  /** Returns a function that removes the listener. */
  on<Name extends keyof BatchServerEvents>(event: Name, listener: Listener<BatchServerEvents[Name]>): () => void {
    return this.#life.events.on(event, listener);
  }

  off<Name extends keyof BatchServerEvents>(event: Name, listener: Listener<BatchServerEvents[Name]>): void {
    this.#life.events.off(event, listener);
  }

  // Taking messages

  #take(entry: Entry): void {
    this.#intake.add(entry);
    if (this.#loop.tracing) this.#loop.trace({ type: 'in', name: this.#life.config.name, op: opOf(entry) });
  }

  #send(call: Call<Request, Reply>, timeout: number): void {
    this.#calls.add(call, timeout);
    // Its patience begins then, even if nothing else happens.
    if (timeout < Infinity) this.#mailbox.awaitEndOfTurn();
    if (this.#life.open || this.#ledger.pending < this.#life.admits) {
      this.#take(call);
      return;
    }
    if (this.#life.admits >= 0 && this.#life.config.overflow === 'wait') {
      this.#waitForRoom(call);
      return;
    }
    const refusal = this.#refusalOf(1);
    if (refusal === undefined) this.#take(call);
    else {
      this.#tellRefused('call', 1, refusal);
      call.refuse(refusal);
    }
  }

  #waitForRoom(call: Call<Request, Reply>): void {
    const enter = (): Promise<void> => {
      if (call.waits) this.#take(call); // else its caller has given up
      return RESOLVED;
    };
    const turnAway = (): Error => {
      const refusal = this.#life.stoppedError();
      this.#tellRefused('call', 1, refusal);
      return refusal;
    };
    this.#life.room.wait(enter, turnAway).catch(call.fail);
  }

  #sendUntil(
    request: Request,
    resolve: (reply: Reply) => void,
    reject: (error: unknown) => void,
    timeout: number,
    signal: AbortSignal,
  ): void {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      call.refuse(signal.reason);
    };
    const call = new Call<Request, Reply>(
      request,
      (reply) => {
        signal.removeEventListener('abort', onAbort);
        resolve(reply);
      },
      (error) => {
        signal.removeEventListener('abort', onAbort);
        reject(error);
      },
    );
    signal.addEventListener('abort', onAbort, { once: true });
    this.#send(call, timeout);
  }

  #turnsAway(kind: 'cast' | 'info', count: number): boolean {
    if (this.#ledger.pending + count <= this.#life.admits) return false;
    const refusal = this.#refusalOf(count);
    if (refusal !== undefined) this.#tellRefused(kind, count, refusal);
    return refusal !== undefined;
  }

  /** Why so many messages cannot be accepted, after what can be done to make room for them. */
  #refusalOf(count: number): Error | undefined {
    if (this.#life.admits < 0) return this.#life.stoppedError();
    if (this.#life.room.has(count) && !this.#life.room.crowded) return undefined;
    const { pending } = this.#ledger;
    const { name, maxPending, overflow } = this.#life.config;
    const full = new OverflowError(`${name} is full: ${pending} messages are pending`, pending, maxPending);
    while (overflow === 'dropOldest' && !this.#life.room.has(count)) {
      const before = this.#loop.counts.dropped;
      if (!this.#intake.refuseOldest(full)) break;
      this.#tellRefused('cast', this.#loop.counts.dropped - before, full, false);
    }
    return overflow === 'dropOldest' && this.#life.room.has(count) ? undefined : full;
  }

  #tellRefused(kind: 'cast' | 'call' | 'info', count: number, error: Error, counts = true): void {
    if (counts) this.#loop.counts.refused += count;
    this.#life.events.emit('refused', { name: this.#life.config.name, kind, count, error });
    // A caller is told by its promise.
    if (kind !== 'call' && !this.#life.events.has('refused')) this.#loop.report('a message was not accepted', error);
  }
}
