import { Arrivals } from './arrivals.js';
import { Many, Single } from './calls.js';
import type {
  DispatchOptions,
  Handler,
  ServingCloseOptions,
  ServingEvents,
  ServingInit,
  ServingState,
} from './types.js';
import { checkResults, lengthOf } from './hooks.js';
import { Mapping } from './mapping.js';
import { type AnyOptions, type Parts, assemble, lanesOf } from './parts.js';
import type { Partitions } from './partitions.js';
import type { ServingPort } from './executor.js';
import { servingState } from './state.js';
import { type Channel, StreamCall } from './stream.js';
import { watch } from './watch.js';
import { CloseError, ClosedError, MissingHookError } from '../errors.js';
import { Events } from '../events.js';
import { type Awaitable, Deferred, andThen, ignorableRejection } from '../core/promise.js';
import { type Clock, systemClock } from '../core/clock.js';
import { type Retry, parseRetry } from '../options/retry.js';
import { checkVerbOptions } from '../options/verbs.js';
import { optionsError } from '../options/check.js';
import type { Call, LooseSlice } from './row.js';

/** The serving itself, whose methods the handler and `init` may be. */
export interface Hooks {
  handleBatch?: Handler<never, unknown> | undefined;
  init?: ((context: ServingInit) => unknown) | undefined;
}

/** Without a size that bounds it, what is pulled ahead still ends somewhere. */
const LARGEST_WINDOW = 1024;

/** What a serving does, without the types that its callers see. */
export class ServingCore {
  readonly events = new Events<ServingEvents>();
  readonly clock: Clock;
  readonly options: AnyOptions;
  readonly batchSize: number;
  /** Set while a call of one value needs nothing but its promise. */
  plain: ServingPort | undefined;
  readonly retry: Retry;
  readonly #owner: string;
  readonly #hooks: Hooks;
  readonly #arrivals: Arrivals;
  /** Results that are being mapped. */
  readonly #departures = new Mapping();
  /** Made at the first use: in the constructor a subclass has no fields yet. */
  #made: Parts | undefined;
  #state: ServingState | undefined;
  #closed: Promise<void> | undefined;

  constructor(owner: string, options: AnyOptions, hooks: Hooks) {
    this.#owner = options.name ?? owner;
    this.options = Object.freeze({ ...options, hooks: options.hooks?.slice() });
    this.#hooks = hooks;
    this.clock = options.clock ?? systemClock;
    this.#arrivals = new Arrivals((values) => this.mapInputs(values), this.clock);
    this.batchSize = options.batchSize ?? 1;
    this.retry = parseRetry(owner, options.retry ?? false);
  }

  get state(): ServingState {
    const { engine, port } = this.#parts;
    this.#state ??= servingState(engine, port);
    return this.#state;
  }

  get partitions(): Partitions {
    this.#ready();
    return this.#parts.partitions;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  get #parts(): Parts {
    this.#made ??= this.#start();
    return this.#made;
  }

  // Calls

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
    const finish =
      this.options.mapResults == null
        ? undefined
        : (all: unknown[]): unknown => (all.length === 0 ? all : this.mapResults(all));
    this.#beginAny(this.#many(resolve, reject, finish), values, options);
  }

  stream(values: unknown, options: DispatchOptions | undefined): Channel {
    const map = this.options.mapResults == null ? undefined : (part: unknown[]): unknown => this.mapResults(part);
    const call = new StreamCall(this.#leaver, map, this.#departures);
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
    return new Many({ resolve, reject, leaver: this.#leaver, finish, mapping: this.#departures });
  }

  /** Calls may be made before the port is. */
  readonly #leaver = {
    leave: (call: Call): void => {
      this.#arrivals.mapping.leave(call);
      this.#departures.leave(call);
      this.#parts.port.leave(call);
    },
    takeOut: (slices: Iterable<LooseSlice>): void => {
      this.#parts.port.takeOut(slices);
    },
  };

  #beginAny(call: Many | StreamCall, values: unknown, options: DispatchOptions | undefined): void {
    if (!this.#admit(call, options)) return;
    try {
      const source = this.read(values);
      const { entrance } = this.#parts;
      if (Array.isArray(source)) this.#arrivals.feed(call, source, entrance);
      else {
        const window = 2 * Math.min(this.batchSize, LARGEST_WINDOW) * lanesOf(this.options).count;
        this.#arrivals.pull(call, source as AsyncIterable<unknown>, window, entrance);
      }
    } catch (error) {
      call.fail(error);
    }
  }

  #begin(call: Call, values: readonly unknown[], options: DispatchOptions | undefined): void {
    if (this.#admit(call, options)) this.#arrivals.feed(call, values, this.#parts.entrance);
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
    const { port } = this.#parts;
    port.counts.calls++;
    if (options != null) watch(call, options, this.clock, this.#owner, this.#leaver.leave);
    return !call.over;
  }

  // Beginning and end

  /** Throws if nothing can be executed, or nothing any more. */
  #ready(): void {
    this.#made ??= this.#start();
    if (this.#closed !== undefined) throw new ClosedError(`${this.#owner} is closed`);
    if (this.#hooks.handleBatch == null && lanesOf(this.options).worker === undefined) {
      throw new MissingHookError('handleBatch', this.#owner);
    }
  }

  /** A hook given as an option becomes a method of this serving, and so wins over its class. */
  #start(): Parts {
    const { options } = this;
    for (const name of ['handleBatch', 'init'] as const) {
      const value = options[name];
      if (value != null) Object.defineProperty(this.#hooks, name, { value });
    }
    const { clock, events, retry } = this;
    const parts = assemble({ owner: this.#owner, options, hooks: this.#hooks, clock, events, retry });
    const runs = this.#hooks.handleBatch != null || lanesOf(options).worker !== undefined;
    const maps = options.mapInputs != null || options.mapResults != null;
    const plain = runs && !maps && options.weigh == null && options.maxPending == null && !this.closed;
    this.plain = plain ? parts.port : undefined;
    return parts;
  }

  close(options: ServingCloseOptions | undefined): Promise<void> {
    try {
      checkVerbOptions('stop', options);
    } catch (error) {
      return ignorableRejection(error);
    }
    if (this.#closed === undefined) {
      const parts = this.#parts;
      const closed = new Deferred();
      this.#closed = closed.promise;
      this.plain = undefined;
      const drain = options?.pending !== 'reject';
      this.#close(parts, options?.timeout ?? 30_000, drain).then(
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

  async #close({ engine, port, entrance, partitions }: Parts, timeout: number, drain: boolean): Promise<void> {
    const { clock } = this;
    const deadline = clock.now() + timeout;
    entrance.close();
    this.#arrivals.stopPulls(new ClosedError(`${this.#owner} was closed before the source of values had ended`));
    const { mapping } = this.#arrivals;
    let undelivered = 0;
    if (drain) {
      engine.demand('close');
      await mapping.settle(clock, deadline);
      // What is mapped too late is not started any more.
      if (clock.now() >= deadline) entrance.end();
      undelivered = mapping.fail(new ClosedError(`${this.#owner} was closed before this was executed`));
    } else {
      // Everything that has not started fails, and what runs is not tried again.
      port.ending = true;
      entrance.end();
      const closed = new ClosedError(`${this.#owner} was closed before this was executed`);
      mapping.fail(closed);
      port.turnAway([...entrance.waitingRows()], closed);
    }
    const left = await engine.close(Math.max(deadline - clock.now(), 0), true);
    entrance.end();
    const closed = new ClosedError(`${this.#owner} was closed before this was executed`, left.cause);
    // Callers of those that are settled have had the error of its last attempt.
    const rows = left.batches.filter((row) => !row.settled);
    for (const row of rows) row.compact();
    // Before anybody is told, since a call that fails leaves all its batches.
    const batches = rows.map((row) => row.values.slice());
    for (const { call, size } of rows.flatMap((row) => row.slices)) undelivered += call.over ? 0 : size;
    for (const row of rows) port.abandon(row, closed);
    await this.#departures.settle(clock, deadline);
    undelivered += this.#departures.fail(new ClosedError(`${this.#owner} was closed before its results were mapped`));
    await partitions.close();
    this.events.emit('closed', { undelivered });
    if (undelivered > 0) throw new CloseError(undelivered, batches, left.cause);
  }
}

function checkList(list: unknown, name: string): readonly unknown[] {
  if (lengthOf(list) === undefined)
    throw new TypeError(`${name} must answer with a list, and answered with ${typeof list}`);
  return list as readonly unknown[];
}
