import type { Batch } from '../core/batch.js';
import type { Core } from '../core/core.js';
import { type Awaitable, adopt, hush, isThenable } from '../core/promise.js';
import type { Decision, Driver, Ending, Settled } from '../core/driver.js';
import { BatchError, ItemError } from '../errors.js';
import { retryDelay } from '../options/retry.js';
import { type AppendHooks, type Stage, isGiven, ran } from './append-hooks.js';
import type { AppendQueue } from './append-queue.js';
import { type Flushable, flushBeforeExit, leaveBeforeExit } from './exit.js';
import { HookContext } from './context.js';
import { FailurePolicy } from './failures.js';
import { throwWhole } from './item-errors.js';
import type { Reports } from './reports.js';
import type { BatchPleaseConfig, BatchPleaseHooks, BatchPleaseOptions, BatchPleaseState } from './types.js';
import type { FlushContext, Prepared, Storage } from './types.js';

/** A batcher with its hooks in force; without those that are required nothing is ever added. */
export type Batcher<Item, State> = BatchPleaseHooks<Item, State> &
  Required<Pick<BatchPleaseHooks<Item, State>, 'batchInit' | 'batchAddItem' | 'batchFlush'>> & {
    readonly state: BatchPleaseState<Item, State>;
  };

const HOOK_OF_STAGE = { weigh: 'weigh', open: 'batchInit', add: 'batchAddItem' } as const;

export interface DriverParts<Item, State> {
  batcher: Batcher<Item, State>;
  options: BatchPleaseOptions<Item, State>;
  /** In force at the moment; `configure` changes it. */
  config: () => BatchPleaseConfig;
  reports: Reports<Item, State>;
  storage: Storage<Item, State> | undefined;
  /** Room may be free. */
  admit: () => void;
  /** Flushed when the process would end by itself. */
  atExit: Flushable;
}

/** The batch as `batchFlush` saw it, and what that returned. */
interface Flushed<State> {
  state: State;
  result: unknown;
}

/** Drives the core with the hooks of a collector: calls them, counts, and reports what happened. */
export class CollectorDriver<Item, State> implements Driver<State>, AppendHooks<Item, State> {
  readonly counts = { flushes: 0, delivered: 0, refused: 0, dropped: 0 };
  readonly splits: boolean;
  readonly addAll: AppendHooks<Item, State>['addAll'];
  readonly weigh: ((entry: Item) => number) | undefined;
  readonly due: (() => boolean) | undefined;
  core!: Core<State>; // set by the batcher, which makes both
  queue!: AppendQueue<Item, State>; // likewise
  /** Its hooks are called as its methods: the fastest call there is, and `this` is what their authors expect. */
  readonly #batcher: Batcher<Item, State>;
  readonly #parts: DriverParts<Item, State>;
  readonly #failures: FailurePolicy<State>;

  constructor(parts: DriverParts<Item, State>) {
    const { batcher, options, storage, config, reports } = parts;
    this.#batcher = batcher;
    this.#parts = parts;
    const { weigh } = options;
    this.weigh = storage === undefined || weigh == null ? (weigh ?? undefined) : (entry) => weigh(this.itemOf(entry));
    this.due = batcher.shouldFlush && ((): boolean => this.#shouldFlush());
    this.splits = batcher.batchSplit != null;
    this.#failures = new FailurePolicy({
      config,
      split: this.splits ? (state, indexes) => batcher.batchSplit?.(state, indexes) as State : undefined,
      core: () => this.core,
      report: (message, error) => {
        reports.warn(message, error);
      },
    });
    if (batcher.batchAddItems == null) return;
    this.addAll = (state, items) => batcher.batchAddItems?.(state, items) as Awaitable<readonly unknown[] | undefined>;
  }

  /** The item of an entry; a storage keeps more than that of it. */
  itemOf(entry: Item): Item {
    return this.#parts.storage === undefined ? entry : (entry as Prepared<Item>).item;
  }

  // Adding

  open(): Awaitable<State> {
    if (!this.#parts.config().unref) flushBeforeExit(this.#parts.atExit);
    return this.#batcher.batchInit(this.#parts.options);
  }

  add(state: State, item: Item): Awaitable<State | undefined> {
    return this.#batcher.batchAddItem(state, item) as Awaitable<State | undefined>;
  }

  refused(entry: Item, error: unknown, stage: Stage, handled: boolean): Error {
    const { storage, reports } = this.#parts;
    this.counts.refused++;
    storage?.refused(entry as Prepared<Item>);
    // A storage's own errors name their cause already.
    const own = stage === 'closed' || (storage !== undefined && error instanceof BatchError);
    const grouped = stage === 'add' && storage === undefined && this.addAll !== undefined;
    const refusal = own ? (error as Error) : new ItemError(grouped ? 'batchAddItems' : HOOK_OF_STAGE[stage], error);
    reports.refused(this.itemOf(entry), refusal, handled);
    return refusal;
  }

  next(now: number): boolean {
    return this.queue.next(now);
  }

  abandon(error: Error): number {
    return this.queue.abandon(error);
  }

  #shouldFlush(): boolean {
    const { reports } = this.#parts;
    try {
      const answer: unknown = this.#batcher.shouldFlush?.(this.#batcher.state);
      if (answer === true || answer === false) return answer;
      hush(answer);
      reports.warn(
        `shouldFlush returned neither true nor false but ${typeName(answer)}, which counts as false`,
        undefined,
      );
    } catch (error) {
      reports.warn('shouldFlush threw', error);
    }
    return false;
  }

  // Attempts

  run(batch: Batch<State>): Awaitable<Flushed<State>> {
    const context = new HookContext(batch, this.#parts.reports.idOf(batch));
    if (this.#batcher.batchPreFlush == null) return this.#flush(batch.state, context);
    const run = batch.begun;
    let prepared: Awaitable<State | void>;
    try {
      prepared = this.#batcher.batchPreFlush(batch.state, context);
    } catch (error) {
      return throwWhole(error);
    }
    const flush = (state: State | void): Awaitable<Flushed<State>> =>
      this.#flush(state === undefined ? batch.state : state, context);
    if (!isThenable(prepared)) return flush(prepared);
    const next = (state: State | void): Awaitable<Flushed<State>> => {
      if (run <= batch.ended) throw new Error('expired'); // ends the run, whose result is ignored; flush must not run
      return flush(state);
    };
    return adopt(prepared).then(next, throwWhole);
  }

  #flush(state: State, context: FlushContext): Awaitable<Flushed<State>> {
    const result = this.#batcher.batchFlush(state, context);
    if (!isThenable(result)) return { state, result: ran('batchFlush', result) };
    return adopt(result).then((settled) => ({ state, result: ran('batchFlush', settled) }));
  }

  failed(batch: Batch<State>, error: unknown): Decision<State> {
    const { storage, config } = this.#parts;
    const { attempt, state } = batch;
    if (batch.work !== undefined) {
      const retryIn = retryDelay(config().retry, attempt);
      return retryIn === undefined ? 'drop' : { retryIn };
    }
    // The sink has seen nothing of it: no item is to blame.
    const unseen = storage !== undefined && !storage.attempted(state);
    const spent = storage?.givesUp(state, error, attempt) === true;
    const decision = this.#failures.decide(batch, error, spent, unseen);
    if (unseen && !spent && !batch.extra) batch.attempt--; // an extra one is not counted in the first place
    // A batch without a `batchDeadLetter` is undelivered while closing.
    if (decision === 'drop' && this.core.closing && !isGiven(this.#batcher, 'batchDeadLetter')) return 'hold';
    return decision;
  }

  waits(batch: Batch<State>, error: unknown, retryAt: number): Error {
    const { reports } = this.#parts;
    if (batch.status === 'held') return reports.held(batch, error);
    reports.failed(batch, error, retryAt);
    return error as Error;
  }

  settled(batch: Batch<State>, ending: Ending): Settled {
    if ('why' in ending) return this.#dropped(batch, ending.error, ending.why);
    const { state, result } = (ending.result ?? { state: batch.state }) as Flushed<State>;
    this.counts.flushes++;
    this.counts.delivered += batch.size;
    this.#parts.reports.flushed(batch, result);
    if (!isGiven(this.#batcher, 'batchPostFlush')) return {};
    return { work: () => ran('batchPostFlush', this.#batcher.batchPostFlush?.(state, this.#contextOf(batch))) };
  }

  #contextOf(batch: Batch<State>): FlushContext {
    return new HookContext(batch, this.#parts.reports.idOf(batch));
  }

  #dropped(batch: Batch<State>, error: unknown, why: 'overflow' | 'giveUp'): Settled {
    const { reports, storage } = this.#parts;
    const { size, state } = batch;
    this.counts.dropped += size;
    const handled = (batch.outcome?.handled ?? 0) > 0;
    const report = (): void => {
      reports.dropped({ reason: why, size, error, batch: state }, handled);
    };
    const takesOver = why === 'giveUp' && isGiven(this.#batcher, 'batchDeadLetter');
    if (!takesOver) report();
    if (why === 'overflow') {
      return { error: error as Error, work: storage && ((): Awaitable<void> => storage.discard(state)) };
    }
    const refusals = reports.givenUp(batch, error);
    if (!takesOver) return refusals;
    let reported = false;
    // The event follows the hand-over, and is emitted once, however often that is tried.
    const work = (): unknown => {
      try {
        return ran('batchDeadLetter', this.#batcher.batchDeadLetter?.(state, error));
      } finally {
        if (!reported) report();
        reported = true;
      }
    };
    return { ...refusals, work };
  }

  closed(): void {
    leaveBeforeExit(this.#parts.atExit);
    this.queue.last = undefined;
  }

  changed(drained: boolean): void {
    if (drained) {
      leaveBeforeExit(this.#parts.atExit);
      this.#parts.reports.events.emit('drained', undefined);
    }
    this.#parts.admit();
  }
}

function typeName(value: unknown): string {
  return isThenable(value) ? 'a promise' : value === null ? 'null' : typeof value;
}
