import type { BatchPleaseEvents, BatchPleaseHooks, BatchPleaseOptions } from '../../src/index.js';
import { ClosedError } from '../../src/index.js';
import { KeyedClock } from './clock.js';
import { closeAll } from './closing.js';
import { Entrance } from './entrance.js';
import type { Entry, Forwarded, Owner } from './entry.js';
import { KeyedEmitter } from './events.js';
import { Keys } from './keys.js';
import { Lanes } from './lanes.js';
import { changedConfig, checkCall, perKey, readOptions, resolveHooks } from './options.js';
import { keyedState } from './state.js';
import type * as types from './types.js';

type Hooks<Item, Key, Batch> = types.KeyedHooks<Item, Key, Batch> & Partial<BatchPleaseHooks<Item, Batch>>;

const FAILURES: Partial<Record<PropertyKey, string>> = {
  failed: 'a batch failed',
  held: 'a batch is held',
  dropped: 'items were dropped',
  refused: 'an item was refused',
};

/** All keys together: what their collectors have in common, and what is done with all of them. */
export class Group<Item, Key, Batch> implements Owner<Item, Key, Batch> {
  readonly lanes: Lanes;
  readonly clock: KeyedClock;
  readonly batcher: Owner<Item, Key, Batch>['batcher'];
  readonly events: KeyedEmitter<types.KeyedEvents<Item, Key, Batch>>;
  readonly state: types.KeyedState<Item, Key, Batch>;
  readonly name: string;
  hooks: Hooks<Item, Key, Batch> = {};
  terminated = false;
  protected readonly keys: Keys<Item, Key, Batch>;
  protected readonly entrance: Entrance<Item, Key, Batch>;
  /** Items that no key's collector has seen. */
  protected readonly turnedAway = { refused: 0, dropped: 0 };
  protected config: types.KeyedConfig;
  /** The caller of the present add handles its failure by `onError`. */
  protected handled = false;
  protected isShut = false;
  readonly #owner: object;
  readonly #own: { key?: unknown; batcher?: unknown };
  #common: BatchPleaseOptions<Item, Batch>;
  #started = false;

  constructor(owner: object, options: types.KeyedBatcherOptions<Item, Key, Batch>) {
    this.name = owner.constructor.name;
    const { own, common, config } = readOptions(this.name, options);
    this.#owner = owner;
    this.#own = own;
    this.#common = common;
    this.config = config;
    this.clock = new KeyedClock(common.clock ?? undefined);
    this.batcher = own.batcher ?? undefined;
    this.events = new KeyedEmitter(this.name);
    const admit = (): void => {
      this.entrance.admit();
    };
    // While others ask for a lane, no batch is made due for the callers that wait for room.
    this.lanes = new Lanes(config.flushConcurrency, config.keyConcurrency, admit);
    this.keys = new Keys(this, config.maxKeys, config.idleTimeout, admit);
    this.entrance = new Entrance(this.keys, this.lanes, config.maxPending, config.overflow === 'dropOldest');
    const { keys, lanes, turnedAway } = this;
    this.state = keyedState({ keys, lanes, turnedAway, config: () => this.config });
  }

  get roomy(): boolean {
    return this.keys.pending < this.config.highWaterMark;
  }

  options(): BatchPleaseOptions<Item, Batch> {
    return perKey(this.#common, this.config);
  }

  /** At the first add: in a constructor a subclass has no fields yet. */
  protected start(): void {
    if (this.#started) return;
    this.hooks = resolveHooks(this.#owner, this.#common, this.#own);
    this.#started = true;
  }

  began(entry: Entry<Item, Key, Batch>, isAttempt: boolean): void {
    this.keys.look(entry); // user code is called next, within an add perhaps
    if (isAttempt) this.keys.served(entry);
  }

  released(): void {
    this.entrance.admit();
  }

  // Events

  event(entry: Entry<Item, Key, Batch>, name: Forwarded, payload: BatchPleaseEvents<Item, Batch>[Forwarded]): void {
    this.keys.look(entry);
    this.emit(name, { ...payload, key: entry.key }, name === 'refused' && this.handled);
    this.lanes.want(entry.seat);
    this.#settled(entry, name === 'failed');
  }

  /** To be called after anything that may have changed what is pending of a key. */
  looked(entry: Entry<Item, Key, Batch>): void {
    this.keys.look(entry);
    this.keys.used(entry);
    if (entry.pending > 0) this.entrance.fresh.add(entry);
    // Its batch may be due without a lane to start on.
    if (entry.pending > 0 && !entry.seat.ready) this.lanes.want(entry.seat);
    this.#settled(entry);
  }

  #settled(entry: Entry<Item, Key, Batch>, failed = false): void {
    if (entry.pending === 0) this.entrance.fresh.delete(entry);
    if (this.keys.takeDrained()) this.emit('drained', { key: entry.key });
    this.entrance.admit(failed);
  }

  protected emit<Name extends keyof types.KeyedEvents<Item, Key, Batch>>(
    name: Name,
    payload: types.KeyedEvents<Item, Key, Batch>[Name],
    handled = false,
  ): void {
    this.events.emit(name, payload);
    const failure = FAILURES[name];
    if (failure === undefined || handled || this.events.has(name)) return;
    this.events.warn(failure, (payload as { error?: unknown }).error);
  }

  // All keys, or one

  select(options: { key?: Key } | undefined): { entries: Entry<Item, Key, Batch>[]; rest: object | undefined } {
    const given = checkCall(this.name, options);
    if (given === undefined || !('key' in given)) return { entries: [...this.keys.all.values()], rest: given };
    const { key, ...rest } = given;
    const entry = this.keys.all.get(key as Key);
    return { entries: entry === undefined ? [] : [entry], rest };
  }

  resume(): void {
    this.lanes.resume([...this.keys.busy].map((entry) => entry.seat));
    this.entrance.admit();
  }

  configure(changes: types.KeyedChanges): void {
    const { config, changed } = changedConfig(this.name, this.#common, this.config, changes);
    this.config = config;
    this.#common = { ...this.#common, ...(changed as BatchPleaseOptions<Item, Batch>) };
    const { lanes, keys, entrance } = this;
    lanes.limit = config.flushConcurrency;
    lanes.perKey = config.keyConcurrency;
    keys.limit = config.maxKeys;
    keys.idleTimeout = this.isShut ? Infinity : config.idleTimeout;
    entrance.maxPending = config.maxPending;
    entrance.drops = config.overflow === 'dropOldest';
    const { maxPending: _1, overflow: _2, highWaterMark: _3, ...perKey } = changed;
    for (const entry of keys.all.values()) {
      entry.collector.configure({ ...perKey, flushConcurrency: config.keyConcurrency });
      if (entry.pending > 0) lanes.want(entry.seat);
    }
    lanes.changed();
    keys.changed();
    entrance.admit(true);
  }

  // The end

  /** From now on nothing is accepted. */
  shut(): void {
    this.isShut = true;
    this.entrance.close(() => new ClosedError('closed while waiting for room'));
  }

  get #left(): number {
    return [...this.keys.all.values()].reduce((sum, { undelivered }) => sum + undelivered, 0);
  }

  async close(timeout: number, flush: boolean): Promise<void> {
    const error = await closeAll(this.keys, this.lanes, timeout, flush);
    // Without `flush` what is left is no error; its batches have been terminated one by one all the same.
    const undelivered = error?.undelivered ?? this.#left;
    // There may be items left that are in no batch.
    if (!this.terminated && (error?.batches ?? []).length === 0) {
      try {
        this.start();
      } catch {
        // Without its hooks nothing was ever added.
      }
      try {
        await this.hooks.batchTerminate?.(undefined, undefined);
      } catch (failure) {
        this.events.warn('batchTerminate failed', failure);
      }
    }
    this.emit('closed', { undelivered });
    if (undelivered > 0 && !this.events.has('closed')) {
      this.events.warn('not everything was delivered', error ?? `${undelivered} undelivered`);
    }
    if (flush && error !== undefined) throw error;
  }
}
