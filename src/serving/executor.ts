import type { ServingBatchInfo, ServingEvents } from './types.js';
import { checkResults, hooksOf, type Partitions } from './partitions.js';
import type { Events } from '../events.js';
import type { Batch } from '../core/batch.js';
import { type Awaitable, andThen } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { Driver, Ending, Action } from '../core/driver.js';
import type { Retry } from '../options/retry.js';
import { Placement } from './placement.js';
import { nextAttempt } from './retry.js';
import type { LooseSlice, Row, Slice } from './row.js';
import { Rows } from './rows.js';
import { ServingRun, deliver, sendToSlices } from './run.js';

export interface ExecutorParts {
  clock: Clock;
  events: Events<ServingEvents>;
  partitions: Partitions;
  retry: Retry;
  hooks: readonly string[];
  runtimeOptions: unknown;
  batchSize: number;
  maxBatchWeight: number;
  /** 0: batches are cut at the end of the event-loop turn that opened them. */
  batchTimeout: number;
  handlerTimeout: number;
  lanes: number;
  /** Room may have come free. */
  admit: () => void;
}

/** Executes the batches of the core, and hands each call its results. */
export class Executor implements Driver<Row> {
  readonly work = 'the handler';
  readonly rows: Rows;
  readonly placement: Placement;
  readonly #parts: ExecutorParts;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    const { batchSize, maxBatchWeight, batchTimeout, lanes, handlerTimeout, clock } = parts;
    const limits = {
      size: batchSize,
      weight: maxBatchWeight,
      age: batchTimeout === 0 ? Infinity : batchTimeout,
      idle: Infinity,
      sinceFlush: Infinity,
      interval: Infinity,
      jitter: 0,
      lanes,
      attempt: parts.partitions.timesOut ? Infinity : handlerTimeout,
    };
    this.rows = new Rows(this, limits, clock, batchTimeout === 0);
    this.placement = new Placement(this.rows);
  }

  run(batch: Batch<Row>): Awaitable<readonly unknown[]> {
    const run = batch.begun;
    const state = this.#parts.partitions.stateOf(batch.lane);
    return andThen(state, (ready) => {
      this.placement.sift(batch.state);
      if (run <= batch.ended) throw new Error('expired'); // ignored by the core; the handler must not run
      return this.#execute(batch, run, ready);
    });
  }

  #execute(batch: Batch<Row>, run: number, state: unknown): Awaitable<readonly unknown[]> {
    const row = batch.state;
    row.compact();
    const { size } = row;
    row.executing = true;
    row.waiting = size;
    const { hooks, runtimeOptions, retry, partitions } = this.#parts;
    const senders = hooksOf(
      hooks,
      size,
      () => run > batch.ended,
      (hook, list, payload) => {
        sendToSlices(row, hook, list, payload);
      },
    );
    const context = new ServingRun(batch, row, state, senders, runtimeOptions);
    row.run = context;
    // A handler that sorts its list in place must not mix up the next attempt.
    const values = retry.attempts > 1 ? row.values.slice() : row.values;
    return andThen(partitions.handle(values, context), (results) => checkResults(results, size));
  }

  failed(batch: Batch<Row>, error: unknown): Action {
    const row = batch.state;
    if (this.placement.ending || (row.plain === undefined && row.slices.every(hasLeft))) return 'drop';
    const elapsed = Math.max(this.#parts.clock.now() - batch.firstStartedAt, 0);
    return nextAttempt(this.#parts.retry, { error, attempt: batch.attempt, elapsed }) ?? 'drop';
  }

  waits(batch: Batch<Row>, error: unknown, retryAt: number): Error {
    const row = batch.state;
    this.placement.inCallback(() => {
      const info = this.#failureOf(batch, error, retryAt);
      if (info !== undefined) this.#parts.events.emit('failed', info);
      row.executing = false;
      row.run = undefined;
      // Callers that left meanwhile: their values are not executed again.
      this.placement.takeOut(row.slices.filter(hasLeft) as LooseSlice[], error);
    });
    return error as Error;
  }

  settled(batch: Batch<Row>, ending: Ending): { error?: Error } {
    this.placement.inCallback(() => {
      if ('result' in ending) this.#deliver(batch, ending.result as unknown[]);
      else {
        // The row loses its slices, so the event is made before; it is emitted after its callers were settled, as `executed` is.
        const info = this.#failureOf(batch, ending.error, Infinity);
        this.placement.giveUp(batch.state, ending.error);
        if (info !== undefined) this.#parts.events.emit('failed', info);
      }
    });
    return {};
  }

  #deliver(batch: Batch<Row>, results: unknown[]): void {
    const row = batch.state;
    const { placement } = this;
    const { counts } = placement;
    const { events, clock } = this.#parts;
    const info = events.has('executed') ? this.#infoOf(batch, clock.now()) : undefined;
    row.settled = true;
    if (row.plain !== undefined) {
      const failed = row.plain.deliver(results);
      counts.failed += failed;
      counts.delivered += results.length - failed;
    } else this.#deliverSlices(row.slices, results);
    counts.batches++;
    placement.settle(row);
    if (info !== undefined) events.emit('executed', info);
  }

  #deliverSlices(slices: readonly Slice[], results: readonly unknown[]): void {
    const { placement } = this;
    const { counts } = placement;
    let at = 0;
    for (const slice of slices) {
      const { call, size } = slice;
      if (call.over) placement.lose(slice);
      else {
        const good = deliver(slice, results, at);
        counts.delivered += good;
        counts.failed += size - good;
        if (call.pulled) placement.pulled -= size;
      }
      at += size;
    }
  }

  next(): boolean {
    return false; // values join at once
  }

  abandon(): number {
    return 0; // values join at once
  }

  changed(): void {
    this.#parts.admit();
  }

  #failureOf(batch: Batch<Row>, error: unknown, retryAt: number): ServingEvents['failed'] | undefined {
    const { events, clock } = this.#parts;
    return events.has('failed') ? { ...this.#infoOf(batch, clock.now()), error, retryAt } : undefined;
  }

  #infoOf({ lane, reason, attempt, startedAt, state }: Batch<Row>, now: number): ServingBatchInfo {
    const calls = new Set(state.slices.map(({ call }) => call)).size;
    const duration = Math.max(0, now - startedAt); // timers ring up to a millisecond early
    return { partition: lane, size: state.size, reason, attempt, duration, calls };
  }
}

/** Its results are of no use any more. */
function hasLeft({ removed, left, call }: Slice): boolean {
  return removed || left || call.over;
}
