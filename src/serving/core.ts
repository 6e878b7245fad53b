import { Many, type ManyParts } from './many.js';
import { Maps } from './maps.js';
import { closeServing } from './close.js';
import type { Channel } from './channel.js';
import type { Rows } from './rows.js';
import { CallerContext } from './caller-context.js';
import { Input, readValues } from './input.js';
import { Mapping } from './mapping.js';
import { type AnyOptions, type Parts, assemble, lanesOf, servingState } from './parts.js';
import { type PartitionHooks, type Partitions, countResults } from './partitions.js';
import { StreamCall } from './stream.js';
import { Watch } from './watch.js';
import type { DispatchOptions, ServingCloseOptions, ServingEvents, ServingState } from './types.js';
import { ClosedError, MissingHookError } from '../errors.js';
import { Events } from '../events.js';
import { type Awaitable, Deferred, andThen, ignorableRejection } from '../core/promise.js';
import { type Clock, SafeClock, systemClock } from '../core/clock.js';
import { type Retry, parseRetry } from '../options/retry.js';
import { checkVerbOptions } from '../options/verbs.js';
import { checkDispatchOptions } from '../options/serving.js';
import { type Call, type LooseSlice, Single } from './row.js';

/** How many values of an async iterable are pulled ahead at most, whatever the batches and partitions. */
const LARGEST_WINDOW = 65_536;

/** The implementation of a serving, without the types that its callers see. */
export class ServingCore {
  readonly events = new Events<ServingEvents>();
  readonly clock: Clock;
  readonly options: AnyOptions;
  readonly batchSize: number;
  readonly retry: Retry;
  readonly maps: Maps;
  /** Set while a call of one value without options needs nothing but its promise. */
  plain: Rows | undefined;
  /** Work in the caller. */
  readonly inline = new Mapping();
  /** Set by `close`: what was accepted is still executed. */
  draining = true;
  readonly owner: string;
  readonly #hooks: PartitionHooks;
  readonly #input: Input;
  readonly #watch: Watch;
  /** Results that are being mapped. */
  readonly #departures = new Mapping();
  /** Made at the first use: in the constructor a subclass has no fields yet. */
  #made: Parts | undefined;
  #state: ServingState | undefined;
  #closed: Promise<void> | undefined;

  constructor(owner: string, options: AnyOptions, hooks: PartitionHooks) {
    this.owner = options.name ?? owner;
    this.options = Object.freeze({ ...options, hooks: options.hooks?.slice() });
    this.#hooks = hooks;
    this.clock = new SafeClock(options.clock ?? systemClock);
    this.batchSize = options.batchSize ?? 1;
    this.retry = parseRetry(owner, options.retry ?? false);
    this.maps = new Maps(this.options);
    this.#input = new Input({ clock: this.clock, mapInputs: (values) => this.maps.inputs(values) });
    this.#watch = new Watch({
      owner: this.owner,
      clock: this.clock,
      leave: this.#leaver.leave,
      together: (work) => {
        this.#parts.placement.together(work);
      },
      inPortions: (work) => {
        this.#parts.placement.leaving.add(work);
      },
    });
  }

  get state(): ServingState {
    this.#state ??= servingState(this.#parts.placement);
    return this.#state;
  }

  get partitions(): Partitions {
    return this.#parts.partitions;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Calls, streams or `inline` work under way. */
  get busy(): boolean {
    if (this.#made === undefined) return false;
    const mapping = this.#input.busy || this.#departures.size > 0 || this.inline.size + this.inline.streams > 0;
    return mapping || this.#made.placement.pending > 0;
  }

  get #parts(): Parts {
    this.#made ??= this.#start();
    return this.#made;
  }

  one(value: unknown, options: DispatchOptions | undefined): Promise<unknown> {
    // The first call makes the parts.
    if (options === undefined && this.#parts.rows === this.plain) return this.plain.joinPlain(value);
    return new Promise((resolve, reject) => {
      const { mapInputs, mapResults } = this.options;
      if (mapInputs == null && mapResults == null) this.#feed(new Single(resolve, reject), [value], options);
      else {
        const unwrap = (results: unknown[]): Awaitable<unknown> =>
          andThen(this.maps.results(results), (mapped) => countResults(mapped, 1, 'mapResults')[0]);
        this.#feed(this.#many({ resolve, reject, finish: unwrap }), [value], options);
      }
    });
  }

  many(
    resolve: (results: unknown[]) => void,
    reject: (error: unknown) => void,
    values: unknown,
    options: DispatchOptions | undefined,
    settle: boolean,
  ): void {
    const finish = this.maps.finish(settle);
    this.#begin((pulled) => this.#many({ resolve, reject, finish }, settle, pulled), reject, values, options);
  }

  stream(values: unknown, options: DispatchOptions | undefined): Channel {
    const maps = this.options.mapResults != null;
    const map = maps ? (part: unknown[]): Awaitable<unknown> => this.maps.results(part) : undefined;
    const shared = { leaver: this.#leaver, map, mapping: this.#departures };
    const make = (pulled: boolean): StreamCall =>
      new StreamCall({ ...shared, pulled, context: maps ? new CallerContext() : undefined });
    let failure: { error: unknown } | undefined;
    const call = this.#begin(make, (error) => (failure = { error }), values, options) ?? make(false);
    if (failure !== undefined) call.fail(failure.error);
    return call.channel;
  }

  #many(parts: Pick<ManyParts, 'resolve' | 'reject' | 'finish'>, settle = false, pulled = false): Many {
    const { resolve, reject, finish } = parts;
    const context = finish === undefined ? undefined : new CallerContext();
    const shared = { leaver: this.#leaver, mapping: this.#departures };
    return new Many({ resolve, reject, finish, settle, pulled, context, ...shared });
  }

  readonly #leaver = {
    leave: (call: Call, reason: unknown): void => {
      this.#input.mapping.leave(call);
      this.#departures.leave(call);
      this.#made?.placement.leave(call, reason);
    },
    takeOut: (slices: Iterable<LooseSlice>, reason: unknown): void => {
      this.#made?.placement.takeOut(slices, reason);
    },
  };

  /** A list or an async iterable; without a call it has been rejected. */
  #begin<Kind extends Many | StreamCall>(
    make: (pulled: boolean) => Kind,
    reject: (error: unknown) => void,
    values: unknown,
    options: DispatchOptions | undefined,
  ): Kind | undefined {
    let source: readonly unknown[] | AsyncIterable<unknown>;
    try {
      this.ready();
      checkDispatchOptions(options);
      source = readValues(this.owner, values);
    } catch (error) {
      reject(error);
      return undefined;
    }
    const pulled = !Array.isArray(source);
    const call = make(pulled);
    if (!pulled) this.#feed(call, source as readonly unknown[], options, false);
    else if (this.#admit(call, options)) {
      try {
        // Two batches per partition.
        const window = Math.min(2 * this.batchSize * lanesOf(this.options).count, LARGEST_WINDOW);
        this.#input.pull(call, source as AsyncIterable<unknown>, window, this.#parts.admission);
      } catch (error) {
        call.fail(error);
      }
    }
    return call;
  }

  #feed(call: Call, values: readonly unknown[], options: DispatchOptions | undefined, single = true): void {
    if (this.#admit(call, options)) this.#input.feed(call, values, this.#parts.admission, single);
  }

  /** Counts and watches the call; returns whether its values may enter. */
  #admit(call: Call, options: DispatchOptions | undefined): boolean {
    try {
      this.ready();
      checkDispatchOptions(options);
      this.#parts.placement.called();
      if (options != null) this.#watch.add(call, options);
    } catch (error) {
      call.fail(error);
    }
    return !call.over;
  }

  flush(): Promise<void> {
    return this.#made === undefined ? Promise.resolve() : this.#made.placement.flush();
  }

  // Beginning and end

  /** Throws `ClosedError` or `MissingHookError` if nothing can be executed. */
  ready(): void {
    this.#made ??= this.#start();
    if (this.#closed !== undefined) throw new ClosedError(`${this.owner} is closed`);
    if (this.#hooks.handleBatch == null && lanesOf(this.options).worker === undefined) {
      throw new MissingHookError('handleBatch', this.owner);
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
    const parts = assemble({ owner: this.owner, options, hooks: this.#hooks, clock, events, retry });
    const runs = this.#hooks.handleBatch != null || lanesOf(options).worker !== undefined;
    const maps = options.mapInputs != null || options.mapResults != null;
    const plain = runs && !maps && options.weigh == null && options.maxPending == null && !this.closed;
    this.plain = plain ? parts.rows : undefined;
    return parts;
  }

  close(options: ServingCloseOptions | undefined): Promise<void> {
    try {
      checkVerbOptions('stop', options);
    } catch (error) {
      return ignorableRejection(error);
    }
    if (this.#closed !== undefined) return this.#closed;
    const parts = this.#parts;
    const closed = new Deferred();
    this.#closed = closed.promise;
    this.plain = undefined;
    this.draining = options?.pending !== 'reject';
    const { clock, events, inline } = this;
    const shared = { owner: this.owner, clock, events, inline, input: this.#input, departures: this.#departures };
    const ending = closeServing({ ...parts, ...shared }, options?.timeout ?? 30_000, this.draining);
    closed.resolve(ending.finally(() => (this.draining = false)));
    return this.#closed;
  }
}
