import type { BatchInfo, BatchPleaseConfig, BatchPleaseEvents, BatchPleaseHooks } from './types.js';
import type { BatchPleaseOptions, BatchPleaseState, FlushContext, Prepared, Storage } from './types.js';
import { BatchError, FlushError, ItemError, ResultCountError, messageOf } from '../errors.js';
import { type Events, warn } from '../events.js';
import { type Awaitable, andThen, hush, isThenable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import {
  RunContext,
  type Chore,
  type Flight,
  type Gathering,
  type Stage,
  type Verdict,
  type Workload,
} from '../core/flight.js';
import { flushBeforeExit, leaveBeforeExit } from './exit.js';
import { retryDelay } from '../options/retry.js';

/** A batcher with its hooks in force; without those that are required nothing is ever added. */
export type Batcher<Item, Batch> = BatchPleaseHooks<Item, Batch> &
  Required<Pick<BatchPleaseHooks<Item, Batch>, 'batchInit' | 'batchAddItem' | 'batchFlush'>> & {
    readonly state: BatchPleaseState<Item, Batch>;
    flush(): Promise<void>;
  };

/** Items that join at once; as many small ones as a disk takes well in one write. */
const LARGEST_GROUP = 1024;

const HOOK_OF_STAGE = { weigh: 'weigh', open: 'batchInit', add: 'batchAddItem' } as const;

export interface CollectorParts<Item, Batch> {
  batcher: Batcher<Item, Batch>;
  options: BatchPleaseOptions<Item, Batch>;
  config: BatchPleaseConfig;
  clock: Clock;
  events: Events<BatchPleaseEvents<Item>>;
  storage: Storage<Item, Batch> | undefined;
  /** Room may have come free. */
  admit: () => void;
}

/** The engine's port to the hooks of a collector: calls them, judges their failures, counts and tells what happened. */
export class Collector<Item, Batch> implements Workload<Item, Batch, Batch> {
  readonly counts = { flushes: 0, delivered: 0, refused: 0, dropped: 0 };
  /** Positions of pending items whose own `onError` hears of their failure. */
  readonly heard = new Set<number>();
  readonly addAll: Workload<Item, Batch, Batch>['addAll'];
  readonly gathering: Gathering | undefined;
  readonly weigh: ((item: Item) => number) | undefined;
  readonly due: (() => boolean) | undefined;
  /** Its hooks are called as its methods: the fastest call there is, and `this` is what their authors expect. */
  readonly #batcher: Batcher<Item, Batch>;
  readonly #options: BatchPleaseOptions<Item, Batch>;
  readonly #config: BatchPleaseConfig;
  readonly #clock: Clock;
  readonly #events: Events<BatchPleaseEvents<Item>>;
  readonly #storage: Storage<Item, Batch> | undefined;
  readonly #admit: () => void;
  /** Of this batcher and no other, in any process. */
  readonly #id = uniqueId();
  readonly #warned = new Set<string>();

  constructor({ batcher, options, config, clock, events, storage, admit }: CollectorParts<Item, Batch>) {
    this.#batcher = batcher;
    this.#options = options;
    this.#config = config;
    this.#clock = clock;
    this.#events = events;
    this.#storage = storage;
    this.#admit = admit;
    const { weigh } = options;
    this.weigh = storage === undefined || weigh == null ? (weigh ?? undefined) : (entry) => weigh(this.itemOf(entry));
    this.due = batcher.shouldFlush && ((): boolean => this.#shouldFlush());
    if (batcher.batchAddItems === undefined) return;
    this.addAll = (batch, items) => this.#addItems(batch, items);
    // shouldFlush is asked before and after each item.
    this.gathering = { most: this.due === undefined ? LARGEST_GROUP : 1, whenIdle: false, soon: queueMicrotask };
  }

  /** What was added; a storage keeps more than that of it. */
  itemOf(entry: Item): Item {
    return this.#storage === undefined ? entry : (entry as Prepared<Item>).item;
  }

  open(): Awaitable<Batch> {
    if (!this.#config.unref) flushBeforeExit(this.#batcher);
    return this.#batcher.batchInit(this.#options);
  }

  add(batch: Batch, item: Item): Awaitable<Batch | undefined> {
    return this.#batcher.batchAddItem(batch, item) as Awaitable<Batch | undefined>;
  }

  run(flight: Flight<Batch>): Awaitable<Batch> {
    const context = this.#contextOf(flight);
    if (this.#batcher.batchPreFlush === undefined) return this.#flush(flight.batch, context);
    const run = flight.begun;
    const prepared = this.#batcher.batchPreFlush(flight.batch, context);
    const flush = (state: Batch | void): Awaitable<Batch> =>
      this.#flush(state === undefined ? flight.batch : state, context);
    if (!isThenable(prepared)) return flush(prepared);
    return Promise.resolve(prepared).then((state) => {
      if (run <= flight.ended) throw new Error('expired'); // nobody listens any more; only flush must not run
      return flush(state);
    });
  }

  judge(flight: Flight<Batch>, error: unknown): Verdict {
    const { attempt, batch } = flight;
    const verdict = retryDelay(this.#config.retry, attempt, Math.random) ?? this.#config.giveUp;
    if (flight.chore !== undefined || this.#storage === undefined) return verdict;
    if (this.#storage.givesUp(batch, error, attempt)) return 'drop';
    if (this.#storage.attempted(batch)) return verdict;
    flight.attempt--;
    return verdict === 'drop' ? 'hold' : verdict;
  }

  refused(entry: Item, error: unknown, stage: Stage, position: number): Error {
    this.counts.refused++;
    this.#storage?.refused(entry as Prepared<Item>);
    // What a storage says of its own trouble needs no further words.
    const own = stage === 'closed' || (this.#storage !== undefined && error instanceof BatchError);
    const refusal = own ? (error as Error) : new ItemError(HOOK_OF_STAGE[stage], error);
    this.tellRefused(this.itemOf(entry), refusal, this.heard.has(position));
    return refusal;
  }

  delivered(flight: Flight<Batch>, batch: Batch, now: number): Chore | undefined {
    this.counts.flushes++;
    this.counts.delivered += flight.size;
    if (this.#events.has('flushed')) this.#events.emit('flushed', this.#infoOf(flight, now));
    if (this.#batcher.batchPostFlush === undefined) return undefined;
    return () => this.#batcher.batchPostFlush?.(batch, this.#contextOf(flight));
  }

  failed(flight: Flight<Batch>, error: unknown, retryAt: number): void {
    const hook =
      flight.chore === undefined ? 'batchFlush' : flight.refusal !== undefined ? 'batchDeadLetter' : 'batchPostFlush';
    this.#events.emit('failed', { ...this.#infoOf(flight, this.#clock.now()), error, retryAt, hook });
    this.#warnUnless(this.#events.has('failed'), `${hook} failed`, error);
  }

  held(flight: Flight<Batch>, error: unknown): Error {
    const info = this.#infoOf(flight, this.#clock.now());
    this.#events.emit('held', { ...info, error });
    this.#warnUnless(this.#events.has('held'), `a batch of ${info.size} is held after attempt ${info.attempt}`, error);
    return this.#flushError(info, 'held', error);
  }

  dropped(flight: Flight<Batch>, error: unknown, why: 'overflow' | 'giveUp'): { error: Error; chore?: Chore } {
    const { size, batch } = flight;
    const heard = [...this.heard].some((position) => position >= flight.from && position < flight.to);
    this.counts.dropped += size;
    if (this.#batcher.batchDeadLetter === undefined || why === 'overflow') this.tellDropped(why, size, error, heard);
    if (why === 'overflow') {
      const storage = this.#storage;
      return { error: error as Error, ...(storage && { chore: () => storage.discard(flight.batch) }) };
    }
    const refusal = this.#flushError(this.#infoOf(flight, this.#clock.now()), 'dropped', error);
    if (this.#batcher.batchDeadLetter === undefined) return { error: refusal };
    let told = false;
    // The event comes when the batch has been handed over, and once, however often that is tried.
    const chore = (): unknown => {
      try {
        return this.#batcher.batchDeadLetter?.(batch, error);
      } finally {
        if (!told) this.tellDropped(why, size, error, heard);
        told = true;
      }
    };
    return { error: refusal, chore };
  }

  drained(): void {
    leaveBeforeExit(this.#batcher);
    this.#events.emit('drained', undefined);
  }

  settled(): void {
    this.#admit();
  }

  tellRefused(item: Item, error: Error, heard: boolean): void {
    this.#events.emit('refused', { item, error });
    this.#warnUnless(heard || this.#events.has('refused'), 'an item was refused', error);
  }

  tellDropped(reason: 'overflow' | 'giveUp', size: number, error: unknown, heard: boolean): void {
    this.#events.emit('dropped', { reason, size, error });
    this.#warnUnless(heard || this.#events.has('dropped'), 'items were dropped', error);
  }

  tellClosed(undelivered: number): void {
    leaveBeforeExit(this.#batcher);
    this.#events.emit('closed', { undelivered });
    const message = `closed with ${undelivered} undelivered`;
    this.#warnUnless(undelivered === 0 || this.#events.has('closed'), message, undefined);
  }

  /** A failure that nobody listens to is reported once per kind. */
  #warnUnless(heard: boolean, message: string, error: unknown): void {
    const kind = message.replace(/\d+/g, '');
    if (heard || this.#warned.has(kind)) return;
    this.#warned.add(kind);
    warn('BATCH_UNHEARD', `${this.#batcher.constructor.name}: ${message}`, error);
  }

  report(message: string, error: unknown): void {
    this.#warnUnless(false, message, error);
  }

  #addItems(batch: Batch, items: readonly Item[]): Awaitable<readonly unknown[] | undefined> {
    const errors = this.#batcher.batchAddItems?.(batch, items);
    return andThen(errors, (settled) => {
      if (settled !== undefined && settled.length !== items.length)
        throw new ResultCountError(items.length, settled.length, 'batchAddItems');
      return settled as readonly unknown[] | undefined;
    });
  }

  #flush(batch: Batch, context: FlushContext): Awaitable<Batch> {
    const done = this.#batcher.batchFlush(batch, context);
    return isThenable(done) ? Promise.resolve(done).then(() => batch) : batch;
  }

  #shouldFlush(): boolean {
    const report = (error: unknown): void => {
      this.report('shouldFlush threw', error);
    };
    try {
      const answer: unknown = this.#batcher.shouldFlush?.(this.#batcher.state);
      hush(answer, report);
      return answer === true;
    } catch (error) {
      report(error);
      return false;
    }
  }

  #contextOf(flight: Flight<Batch>): FlushContext {
    return new HookContext(flight, this.#idOf(flight));
  }

  #idOf(flight: Flight<Batch>): string {
    return this.#batcher.batchId?.(flight.batch) ?? `${this.#id}-${flight.from}`;
  }

  #infoOf(flight: Flight<Batch>, now: number): BatchInfo {
    const { reason, size, weight, attempt } = flight;
    return { id: this.#idOf(flight), reason, size, weight, attempt, duration: now - flight.startedAt };
  }

  #flushError({ id, size, attempt }: BatchInfo, fate: 'held' | 'dropped', cause: unknown): FlushError {
    const message = `a batch of ${size} is ${fate} after attempt ${attempt}: ${messageOf(cause)}`;
    return new FlushError(message, id, size, attempt, cause);
  }
}

class HookContext extends RunContext implements FlushContext {
  constructor(
    flight: Flight<unknown>,
    readonly id: string,
  ) {
    super(flight, flight.size);
  }
}

function uniqueId(): string {
  // In a browser randomUUID exists in secure contexts only.
  const { crypto } = globalThis as { crypto?: { randomUUID?: () => string } };
  return crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
}
