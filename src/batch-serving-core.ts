import { Many, type Plain, Single } from './batch-serving-calls.js';
import type { DispatchOptions, Handler, ServingCloseOptions, ServingEvents } from './batch-serving-contract.js';
import type { ServingInit, ServingOptions, ServingState } from './batch-serving-contract.js';
import { Entrance } from './batch-serving-entrance.js';
import { checkResults, lengthOf } from './batch-serving-hooks.js';
import { LocalPartitions, type Partitions } from './batch-serving-partitions.js';
import { ServingPort } from './batch-serving-port.js';
import { Pull } from './batch-serving-pull.js';
import { servingState } from './batch-serving-state.js';
import { type Channel, StreamCall } from './batch-serving-stream.js';
import { ThreadPartitions } from './batch-serving-threads.js';
import { CloseError, ClosedError, MissingHookError, TimeoutError } from './errors.js';
import { Events } from './events.js';
import { type Awaitable, Deferred, andThen, ignorableRejection, isThenable } from './kernel/awaitable.js';
import { type Clock, systemClock, within } from './kernel/clock.js';
import { Engine } from './kernel/engine.js';
import { checkVerbOptions, optionsError, parseRetry } from './options.js';
import type { Call, LooseSlice, Row } from './slices.js';

/** The options without the types that callers see. */
export interface AnyOptions extends ServingOptions<unknown, string> {
  mapInputs?: ((values: readonly never[]) => Awaitable<readonly unknown[]>) | null | undefined;
  mapResults?: ((results: readonly never[]) => Awaitable<readonly unknown[]>) | null | undefined;
  handleBatch?: unknown;
}

/** The serving itself, whose methods the handler and `init` may be. */
export interface Hooks {
  handleBatch?: Handler<never, unknown> | undefined;
  init?: ((context: ServingInit) => unknown) | undefined;
}

/** Without a size that bounds it, what is pulled ahead still ends somewhere. */
const LARGEST_WINDOW = 1024;

/** The longest delay that a timer can be asked for. */
const LONGEST = 2 ** 31 - 1;

/** What a serving does, without the types that its callers see. */
export class ServingCore {
  readonly events = new Events<ServingEvents>();
  readonly clock: Clock;
  readonly options: AnyOptions;
  readonly batchSize: number;
  /** A call of one value needs nothing but its promise. */
  plain = false;
  readonly #owner: string;
  readonly #hooks: Hooks;
  /** These are made at the first use: in the constructor a subclass has no fields yet. */
  #engine: Engine<unknown, Row, readonly unknown[]> | undefined;
  #port!: ServingPort;
  #entrance!: Entrance;
  #partitions!: Partitions;
  #state: ServingState | undefined;
  #closed: Promise<void> | undefined;
  /** Calls whose values are being mapped, or pulled. */
  readonly #arriving = new Set<Call>();
  readonly #pulls = new Map<Pull, Call>();
  /** Maps that are under way. */
  readonly #outside = new Set<PromiseLike<unknown>>();
  readonly #addOutside = (work: PromiseLike<unknown>): void => {
    const done = (): unknown => this.#outside.delete(work);
    this.#outside.add(work);
    work.then(done, done);
  };

  constructor(owner: string, options: AnyOptions, hooks: Hooks) {
    this.#owner = options.name ?? owner;
    this.options = Object.freeze({ ...options, hooks: options.hooks?.slice() });
    this.#hooks = hooks;
    this.clock = options.clock ?? systemClock;
    this.batchSize = options.batchSize ?? 1;
  }

  get state(): ServingState {
    this.#state ??= servingState(this.#engine ?? this.#start(), this.#port);
    return this.#state;
  }

  get partitions(): Partitions {
    this.#ready();
    return this.#partitions;
  }

  // Calls

  /** The short way, for `plain` calls. */
  enter(call: Plain, value: unknown): void {
    const port = this.#port;
    port.counts.calls++;
    port.putPlain(call, value);
  }

  one(value: unknown, options: DispatchOptions | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { mapInputs, mapResults } = this.options;
      if (mapInputs == null && mapResults == null) {
        this.#begin(new Single(resolve, reject), [value], options);
        return;
      }
      const unwrap = (results: unknown[]): Awaitable<unknown> =>
        andThen(this.mapResults(results), (mapped) => checkResults(mapped, 1, 'mapResults')[0]);
      this.#begin(this.#many(resolve, reject, unwrap), [value], options);
    });
  }

  many(
    resolve: (results: unknown[]) => void,
    reject: (error: unknown) => void,
    values: unknown,
    options: DispatchOptions | undefined,
  ): void {
    const finish = this.options.mapResults == null ? undefined : (all: unknown[]): unknown => this.mapResults(all);
    this.#beginAny(this.#many(resolve, reject, finish), values, options);
  }

  stream(values: unknown, options: DispatchOptions | undefined): Channel {
    const map = this.options.mapResults == null ? undefined : (part: unknown[]): unknown => this.mapResults(part);
    const call = new StreamCall(this.#leaver, map, this.#addOutside);
    this.#beginAny(call, values, options);
    return call.channel;
  }

  mapInputs(values: readonly unknown[]): Awaitable<readonly unknown[]> {
    const { mapInputs } = this.options;
    return mapInputs == null ? values : andThen(mapInputs(values as never[]), (list) => checkList(list, 'mapInputs'));
  }

  mapResults(results: readonly unknown[]): Awaitable<readonly unknown[]> {
    const { mapResults } = this.options;
    return mapResults == null
      ? results
      : andThen(mapResults(results as never[]), (list) => checkList(list, 'mapResults'));
  }

  /** What a list, an iterable or an async iterable holds, read now or later. */
  read(values: unknown): readonly unknown[] | AsyncIterable<unknown> {
    if (Array.isArray(values)) return (values as unknown[]).slice();
    const source = values as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined;
    if (typeof source?.[Symbol.asyncIterator] === 'function') return source as AsyncIterable<unknown>;
    if (typeof source?.[Symbol.iterator] === 'function') return Array.from<unknown>(source as Iterable<unknown>);
    throw optionsError(this.#owner, 'values', 'an iterable or async iterable', values);
  }

  #many(
    resolve: (value: never) => void,
    reject: (error: unknown) => void,
    finish?: (results: unknown[]) => Awaitable<unknown>,
  ): Many {
    return new Many({ resolve, reject, leaver: this.#leaver, finish, outside: this.#addOutside });
  }

  /** Calls may be made before the port is. */
  readonly #leaver = {
    leave: (call: Call): void => {
      this.#port.leave(call);
    },
    takeOut: (slices: Iterable<LooseSlice>): void => {
      this.#port.takeOut(slices);
    },
  };

  #beginAny(call: Many | StreamCall, values: unknown, options: DispatchOptions | undefined): void {
    if (!this.#admit(call, options)) return;
    try {
      const source = this.read(values);
      if (Array.isArray(source)) this.#feed(call, source);
      else this.#pull(call, source as AsyncIterable<unknown>);
    } catch (error) {
      call.fail(error);
    }
  }

  #begin(call: Call, values: readonly unknown[], options: DispatchOptions | undefined): void {
    if (this.#admit(call, options)) this.#feed(call, values);
  }

  /** Whether the call may be made; it then counts, and is watched over. */
  #admit(call: Call, options: DispatchOptions | undefined): boolean {
    try {
      this.#ready();
      checkVerbOptions('dispatch', options);
    } catch (error) {
      call.fail(error);
      return false;
    }
    this.#port.counts.calls++;
    if (options != null) this.#watch(call, options);
    return !call.over;
  }

  #watch(call: Call, { signal, timeout }: DispatchOptions): void {
    const giveUp = (error: unknown): void => {
      if (call.over) return;
      call.aborted = true;
      call.fail(error);
      this.#port.leave(call);
    };
    if (signal?.aborted === true) {
      giveUp(signal.reason);
      return;
    }
    const onAbort = (): void => {
      giveUp(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    let timer: unknown;
    if (timeout != null && timeout < Infinity) {
      const late = (): void => {
        giveUp(new TimeoutError(`a call of ${this.#owner}`, timeout));
      };
      timer = this.clock.setTimer(late, Math.min(timeout, LONGEST));
    }
    call.release = () => {
      signal?.removeEventListener('abort', onAbort);
      if (timer !== undefined) this.clock.clearTimer(timer);
    };
  }

  /** A list: all of it is mapped, and accepted, in one go. */
  #feed(call: Call, values: readonly unknown[]): void {
    const accept = (mapped: readonly unknown[]): void => {
      const waiting = this.#entrance.accept(call, mapped, false);
      if (waiting === undefined) call.end();
      else void waiting.then(() => call.end());
    };
    try {
      const mapped = values.length === 0 ? values : this.mapInputs(values);
      if (!isThenable(mapped)) {
        accept(mapped);
        return;
      }
      this.#arriving.add(call);
      const accepted = Promise.resolve(mapped).then(accept);
      this.#addOutside(accepted);
      accepted
        .catch((error: unknown) => {
          call.fail(error);
        })
        .finally(() => this.#arriving.delete(call));
    } catch (error) {
      call.fail(error);
    }
  }

  #pull(call: Many | StreamCall, source: AsyncIterable<unknown>): void {
    const { count } = this.#lanes;
    const size = Math.min(this.batchSize, LARGEST_WINDOW);
    const pull = new Pull(source, 2 * size * count);
    this.#pulls.set(pull, call);
    call.credit = (count) => {
      pull.credit(count);
    };
    const stop = (): void => {
      this.#pulls.delete(pull);
      pull.stop();
    };
    const { release } = call;
    call.release = () => {
      release?.();
      stop();
    };
    if (call instanceof StreamCall) call.source = stop;
    const take = async (value: unknown): Promise<number> => {
      const mapped = await this.mapInputs([value]);
      await this.#entrance.accept(call, mapped, true);
      return mapped.length;
    };
    void pull.read(take).then((failure) => {
      stop();
      // A list of results is of no use without its end; a stream gives what came before.
      if (failure !== undefined && call instanceof Many) call.fail(failure.error);
      else call.end(failure);
    });
  }

  // Beginning and end

  get #lanes(): { count: number; worker: string | URL | undefined; execArgv: readonly string[] | undefined } {
    const { partitions } = this.options;
    if (typeof partitions === 'object' && partitions !== null) {
      return { count: partitions.count, worker: partitions.worker, execArgv: partitions.execArgv };
    }
    return { count: partitions ?? 1, worker: undefined, execArgv: undefined };
  }

  /** Throws if nothing can be executed, or nothing any more. */
  #ready(): void {
    this.#engine ??= this.#start();
    if (this.#closed !== undefined) throw new ClosedError(`${this.#owner} is closed`);
    if (this.#hooks.handleBatch == null && this.#lanes.worker === undefined) {
      throw new MissingHookError('handleBatch', this.#owner);
    }
  }

  /** A hook given as an option becomes a method of this serving, and so wins over its class. */
  #start(): Engine<unknown, Row, readonly unknown[]> {
    const { options, clock } = this;
    for (const name of ['handleBatch', 'init'] as const) {
      const value = options[name];
      if (value != null) Object.defineProperty(this.#hooks, name, { value });
    }
    const lanes = this.#lanes;
    const runtimeOptions: unknown = options.runtimeOptions ?? undefined;
    const timeout = options.batchTimeout ?? 100;
    const weighs = options.weigh != null;
    this.#partitions =
      lanes.worker === undefined
        ? new LocalPartitions(this.#hooks, runtimeOptions)
        : new ThreadPartitions(this.#owner, lanes.worker, lanes.execArgv, runtimeOptions);
    const port = new ServingPort({
      clock,
      events: this.events,
      partitions: this.#partitions,
      retry: parseRetry(this.#owner, options.retry ?? false),
      hooks: options.hooks ?? [],
      runtimeOptions,
      weighs,
      eager: timeout === 0,
      admit: () => {
        this.#entrance.room.admit();
      },
    });
    const limits = {
      size: this.batchSize,
      weight: options.maxBatchWeight ?? Infinity,
      age: timeout === 0 ? Infinity : timeout,
      sinceFlush: Infinity,
      interval: Infinity,
      jitter: 0,
      lanes: lanes.count,
      attempt: options.handlerTimeout ?? Infinity,
      entry: Infinity,
      random: Math.random,
    };
    const engine = new Engine(port, limits, clock, clock.now(), false);
    port.engine = engine;
    engine.intake.capacity = Infinity;
    this.#engine = engine;
    this.#port = port;
    this.#entrance = new Entrance(engine, port, {
      batchSize: limits.size,
      maxBatchWeight: limits.weight,
      weigh: options.weigh ?? undefined,
      keepCallsWhole: options.keepCallsWhole ?? (options.hooks ?? []).length > 0,
      maxPending: options.maxPending ?? Infinity,
      overflow: options.overflow ?? 'wait',
    });
    const runs = this.#hooks.handleBatch != null || lanes.worker !== undefined;
    const maps = options.mapInputs != null || options.mapResults != null;
    this.plain = runs && !maps && !weighs && options.maxPending == null && this.#closed === undefined;
    return engine;
  }

  close(options: ServingCloseOptions | undefined): Promise<void> {
    try {
      checkVerbOptions('stop', options);
    } catch (error) {
      return ignorableRejection(error);
    }
    if (this.#closed === undefined) {
      const engine = this.#engine ?? this.#start();
      const closed = new Deferred();
      this.#closed = closed.promise;
      this.plain = false;
      const drain = options?.pending !== 'reject';
      this.#close(engine, options?.timeout ?? 30_000, drain).then(
        () => {
          closed.resolve();
        },
        (error: unknown) => {
          closed.reject(error);
        },
      );
    }
    return this.#closed;
  }

  async #close(engine: Engine<unknown, Row, readonly unknown[]>, timeout: number, drain: boolean): Promise<void> {
    const deadline = this.clock.now() + timeout;
    this.#entrance.room.close();
    for (const [pull, call] of [...this.#pulls]) {
      pull.stop();
      call.end({ error: new ClosedError(`${this.#owner} was closed before the source of values had ended`) });
    }
    if (drain) await this.#mapped(deadline);
    else this.#rejectWaiting();
    const left = await engine.close(Math.max(deadline - this.clock.now(), 0), true);
    const closed = new ClosedError(`${this.#owner} was closed before this was executed`, left.cause);
    for (const call of this.#arriving) call.fail(closed);
    // Callers of those that are settled have had the error of its last attempt.
    const rows = left.batches.filter((row) => !row.settled);
    for (const row of rows) row.compact();
    // Before anybody is told, since a call that fails leaves all its batches.
    const batches = rows.map((row) => row.values.slice());
    const undelivered = rows
      .flatMap((row) => row.slices)
      .reduce((sum, { call, size }) => sum + (call.over ? 0 : size), 0);
    for (const row of rows) this.#port.abandon(row, closed);
    await this.#partitions.close();
    await this.#mapped(deadline);
    this.events.emit('closed', { undelivered });
    if (undelivered > 0) throw new CloseError(undelivered, batches, left.cause);
  }

  /** Everything that has not started fails, and what runs is not tried again. */
  #rejectWaiting(): void {
    this.#port.ending = true;
    const closed = new ClosedError(`${this.#owner} was closed before this was executed`);
    for (const call of [...this.#arriving]) call.fail(closed);
    this.#port.turnAway([...this.#entrance.waitingRows()], closed);
  }

  /** Waits for the maps that are under way. */
  async #mapped(deadline: number): Promise<void> {
    while (this.#outside.size > 0) {
      const patience = deadline - this.clock.now();
      if (patience <= 0) return;
      await within(this.clock, patience, Promise.allSettled([...this.#outside]), () => undefined);
    }
  }
}

function checkList(list: unknown, name: string): readonly unknown[] {
  if (lengthOf(list) === undefined)
    throw new TypeError(`${name} must answer with a list, and answered with ${typeof list}`);
  return list as readonly unknown[];
}
