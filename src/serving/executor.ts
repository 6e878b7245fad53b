import type { Weights } from './admission.js';
import type { Leaver, Plain } from './calls.js';
import type { ServingBatchInfo, ServingEvents } from './types.js';
import { checkResults, hooksOf, type Context, type Partitions } from './partitions.js';
import type { Events } from '../events.js';
import { type Batch, RunContext } from '../core/batch.js';
import { type Awaitable, Deferred, RESOLVED, andThen } from '../core/promise.js';
import { type Clock, endOfTurn } from '../core/clock.js';
import { Core } from '../core/core.js';
import { Fifo } from '../core/deque.js';
import type { Driver, Ending, Fate } from '../core/runner.js';
import type { Trigger } from '../core/schedule.js';
import { type Retry, retryDelay } from '../options/retry.js';
import { type Call, type LooseSlice, Row, type Slice } from './row.js';

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

/** Puts values into rows, has them executed, and hands each call its results. The only user of the core. */
export class Executor implements Driver<Row>, Leaver {
  readonly work = 'the handler';
  readonly counts = { calls: 0, batches: 0, delivered: 0, failed: 0, aborted: 0 };
  /** Pending values of async iterables. */
  pulled = 0;
  /** Failed batches are not executed again. */
  ending = false;
  readonly #core: RowCore;
  readonly #parts: ExecutorParts;
  /** Rows with values that are not settled, oldest first. */
  readonly #rows = new Set<Row>();
  #opened = 0;
  /** Pending `flush()` calls: each resolves when the rows below its number are settled. */
  readonly #flushes = new Fifo<Flush>();
  /** Aborts of signals, which call user code: put off until all values that leave have left. */
  readonly #aborts: (() => void)[] = [];
  /** While it is not 0, turns are put off. */
  #locks = 0;
  #turnEnds = false;
  readonly #endOfTurn = (): void => {
    this.#turnEnds = false;
    this.#core.schedule.markDue('age');
    this.#core.turn();
  };

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
    this.#core = new RowCore(this, limits, clock, clock.now(), false);
    this.#core.capacity = Infinity;
  }

  /** Values accepted so far. */
  get values(): number {
    return this.#core.accepted;
  }

  /** Values accepted and not settled. */
  get pending(): number {
    const { delivered, failed, aborted } = this.counts;
    return this.#core.accepted - delivered - failed - aborted;
  }

  /** Batches that run. */
  get running(): number {
    let count = 0;
    for (const batch of this.#core.active) if (batch.running) count++;
    return count;
  }

  /** Rows that are not running, oldest first. */
  *waitingRows(): IterableIterator<Row> {
    for (const row of this.#rows) if (!row.executing) yield row;
  }

  /** The short way, for a call of one value without options. */
  putPlain(call: Plain, value: unknown): void {
    const core = this.#core;
    this.counts.calls++;
    const { state } = core;
    if (core.joined < core.fastLimit && state !== undefined) {
      state.values.push(value);
      state.slices.push(call);
      core.accepted++;
      core.joined++;
      core.size++;
    } else {
      this.#join(call, value, 0);
      this.#turn();
    }
  }

  /**
   * Values enter in one step: no batch is cut for its age, or started, between two of them. `whole`: a call that fits into
   * one batch is not split over two.
   */
  enter(call: Call, values: readonly unknown[], weights: Weights, whole: boolean): void {
    this.together(() => {
      if (whole) this.#makeWay(values.length, sumOf(weights));
      for (let i = 0; i < values.length; i++) {
        const weight = weights?.[i] ?? 0;
        if (typeof weight !== 'number') call.refuse?.(weight);
        else {
          if (weight > 0) this.#makeWay(1, weight);
          this.#join(call, values[i], weight);
        }
      }
    });
  }

  /** Calls `work`, which runs no user code; batches are cut and started after it. */
  together(work: () => void): void {
    this.#locks++;
    try {
      work();
    } finally {
      this.#locks--;
      this.#turn();
    }
    this.#abortSignals();
  }

  #abortSignals(): void {
    if (this.#locks > 0) return;
    for (let abort = this.#aborts.shift(); abort !== undefined; abort = this.#aborts.shift()) abort();
  }

  /** Calls `work`, which may run user code, within a callback of the core: that turns by itself after it. */
  #inCallback(work: () => void): void {
    this.#locks++;
    try {
      work();
    } finally {
      this.#locks--;
    }
    this.#abortSignals();
  }

  #turn(): void {
    if (this.#locks === 0) this.#core.turn();
  }

  /** Cuts the open batch. */
  seal(reason: Trigger): void {
    if (this.#core.size > 0) this.#core.seal(reason);
    this.#turn();
  }

  /** Cuts the open batch; resolves when everything accepted by now is settled. */
  flush(): Promise<void> {
    this.seal('demand');
    if (this.#rows.size === 0) return RESOLVED;
    const flush = new Flush(this.#opened);
    this.#flushes.push(flush);
    return flush.promise;
  }

  // Leaving

  leave(call: Call, reason: unknown): void {
    this.takeOut(call.slices(), reason);
  }

  takeOut(slices: Iterable<LooseSlice>, reason: unknown): void {
    this.together(() => {
      for (const slice of slices) {
        const { row } = slice;
        if (slice.gone) continue;
        if (row.executing) this.#leaveRunning(slice, reason);
        else {
          this.#lose(slice);
          row.take(slice);
          this.#withdraw(row, slice.size, slice.weight);
        }
      }
    });
  }

  /** Once no caller of a running batch is left, its signal aborts. */
  #leaveRunning(slice: LooseSlice, reason: unknown): void {
    const { row } = slice;
    if (slice.left || row.settled) return;
    slice.left = true;
    row.waiting -= slice.size;
    const { run } = row;
    if (row.waiting > 0 || run === undefined) return;
    this.#aborts.push(() => {
      run.abort(reason);
    });
  }

  /** The callers with values in these rows, which do not run, get the error. */
  turnAway(rows: readonly Row[], error: unknown): void {
    this.together(() => {
      for (const row of rows) {
        row.compact();
        const { slices, size } = row;
        const weight = slices.reduce((sum, slice) => sum + slice.weight, 0);
        this.#withdraw(row, size, weight);
        row.executing = true;
        this.#settle(row);
        for (const slice of slices) {
          this.#lose(slice);
          slice.call.fail(error, slice);
        }
      }
    });
  }

  #withdraw(row: Row, size: number, weight: number): void {
    this.#core.take(row.batch, size, weight);
    if (row.size === 0) this.#forget(row);
  }

  /** All callers of the row get the error. */
  giveUp(row: Row, error: unknown): void {
    row.compact();
    row.executing = true;
    const { slices } = row;
    this.#settle(row);
    for (const slice of slices) {
      this.#lose(slice);
      if (!slice.call.over) slice.call.fail(error, slice);
    }
  }

  /** Resolves when nothing runs any more, with the rows that were not executed. */
  async close(timeout: number): Promise<{ rows: Row[]; cause: unknown }> {
    const { states, cause } = await this.#core.close(timeout, true);
    return { rows: states, cause };
  }

  // Rows

  #join(call: Call, value: unknown, weight: number): void {
    const core = this.#core;
    let row = core.state;
    if (core.size === 0 || row === undefined) row = this.#open();
    row.values.push(value);
    call.joined(row, weight);
    core.accepted++;
    core.joined++;
    core.size++;
    core.weight += weight;
    if (call.pulled) this.pulled++;
    const { batchSize, maxBatchWeight } = this.#parts;
    if (core.size >= batchSize) core.seal('size');
    else if (core.weight >= maxBatchWeight) core.seal('weight');
  }

  #open(): Row {
    const core = this.#core;
    const row = new Row(this.#opened++);
    core.open(this.#parts.clock.now());
    core.opened = true;
    core.state = row;
    this.#rows.add(row);
    if (this.#parts.batchTimeout === 0 && !this.#turnEnds) this.#cutAtEndOfTurn();
    return row;
  }

  /** Cuts the open batch if these values do not fit into it, but fit into a batch of their own or are just one. */
  #makeWay(size: number, weight: number): void {
    const core = this.#core;
    const { batchSize, maxBatchWeight } = this.#parts;
    if (core.size === 0 || size > batchSize || (size > 1 && weight > maxBatchWeight)) return;
    const heavy = core.weight + weight > maxBatchWeight;
    if (heavy || core.size + size > batchSize) core.seal(heavy ? 'weight' : 'size');
  }

  #cutAtEndOfTurn(): void {
    this.#turnEnds = true;
    try {
      endOfTurn(this.#parts.clock, this.#endOfTurn);
    } catch {
      // A clock that throws: a microtask later instead.
      void RESOLVED.then(this.#endOfTurn);
    }
  }

  /** It holds nothing that has to be settled any more. */
  #forget(row: Row): void {
    this.#rows.delete(row);
    if (this.#flushes.length === 0) return;
    const oldest = this.#rows.values().next();
    const settled = oldest.done === true ? Infinity : oldest.value.number;
    for (let first = this.#flushes.peek(); first !== undefined && first.below <= settled;) {
      this.#flushes.shift();
      first.resolve();
      first = this.#flushes.peek();
    }
  }

  #settle(row: Row): void {
    row.settled = true;
    row.clear();
    this.#forget(row);
  }

  /** Its values get no results. */
  #lose({ call, size }: Slice): void {
    this.counts[call.aborted ? 'aborted' : 'failed'] += size;
    if (call.pulled) this.pulled -= size;
  }

  // Runs

  run(batch: Batch<Row>): Awaitable<readonly unknown[]> {
    const run = batch.begun;
    const state = this.#parts.partitions.stateOf(batch.lane);
    return andThen(state, (ready) => {
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
    const told = hooksOf(
      hooks,
      size,
      () => run > batch.ended,
      (hook, list, payload) => {
        tellSlices(row, hook, list, payload);
      },
    );
    row.run = new ServingRun(batch, row, state, told, runtimeOptions);
    // A handler that sorts its list in place must not mix up the next attempt.
    const values = retry.attempts > 1 ? row.values.slice() : row.values;
    return andThen(partitions.handle(values, row.run), (results) => checkResults(results, size));
  }

  failed(batch: Batch<Row>): Fate {
    const { slices } = batch.state;
    if (this.ending || slices.every(({ gone, call }) => gone || call.over)) return 'drop';
    const retryIn = retryDelay(this.#parts.retry, batch.attempt, Math.random);
    return retryIn === undefined ? 'drop' : { retryIn };
  }

  waits(batch: Batch<Row>, error: unknown, retryAt: number): Error {
    const row = batch.state;
    this.#inCallback(() => {
      this.#emitFailed(batch, error, retryAt);
      row.executing = false;
      row.run = undefined;
      // Callers that left meanwhile: their values are not executed again.
      this.takeOut(row.slices.filter(({ call }) => call.over) as LooseSlice[], error);
    });
    return error as Error;
  }

  settled(batch: Batch<Row>, ending: Ending): { error?: Error } {
    this.#inCallback(() => {
      if ('result' in ending) this.#deliver(batch, ending.result as readonly unknown[]);
      else {
        this.#emitFailed(batch, ending.error, Infinity);
        this.giveUp(batch.state, ending.error);
      }
    });
    return {};
  }

  #deliver(batch: Batch<Row>, results: readonly unknown[]): void {
    const row = batch.state;
    const { counts } = this;
    const { events, clock } = this.#parts;
    const info = events.has('executed') ? this.#infoOf(batch, clock.now()) : undefined;
    const { slices } = row;
    row.settled = true;
    let at = 0;
    for (const slice of slices) {
      const { call, size } = slice;
      if (call.over) this.#lose(slice);
      else {
        const good = deliver(slice, results, at);
        counts.delivered += good;
        counts.failed += size - good;
        if (call.pulled) this.pulled -= size;
      }
      at += size;
    }
    counts.batches++;
    this.#settle(row);
    if (info !== undefined) events.emit('executed', info);
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

  #emitFailed(batch: Batch<Row>, error: unknown, retryAt: number): void {
    const { events, clock } = this.#parts;
    if (events.has('failed')) events.emit('failed', { ...this.#infoOf(batch, clock.now()), error, retryAt });
  }

  #infoOf({ lane, reason, attempt, startedAt, state }: Batch<Row>, now: number): ServingBatchInfo {
    const calls = new Set(state.slices.map(({ call }) => call)).size;
    return { partition: lane, size: state.size, reason, attempt, duration: now - startedAt, calls };
  }
}

/** The core, which tells each row its batch, and lets values leave a batch at constant cost. */
class RowCore extends Core<Row> {
  override seal(reason: Trigger): Batch<Row> {
    const batch = super.seal(reason);
    batch.state.batch = batch;
    return batch;
  }

  /** Takes values out of a batch, or without one out of the open batch. */
  take(batch: Batch<Row> | undefined, count: number, weight: number): void {
    if (batch === undefined) {
      this.withdraw(count, weight);
      return;
    }
    batch.size -= count;
    batch.weight -= weight;
    this.finished += count;
    if (batch.size > 0) return;
    // `init` may still be at work for it.
    if (batch.running) this.endRun(batch);
    this.remove(batch);
  }
}

/** A pending `flush()`. */
class Flush extends Deferred {
  constructor(readonly below: number) {
    super();
  }
}

/** The context of one run. */
export class ServingRun extends RunContext implements Context {
  readonly partition: number;
  readonly inline = false;
  readonly #row: Row;
  #deadline: number | undefined;

  constructor(
    batch: Batch<Row>,
    row: Row,
    readonly state: unknown,
    readonly hooks: Context['hooks'],
    readonly runtimeOptions: unknown,
  ) {
    super(batch, row.size);
    this.partition = batch.lane;
    this.#row = row;
  }

  /** The latest time at which a caller of the batch still waits. */
  get deadline(): number {
    if (this.#deadline === undefined) {
      let latest = -Infinity;
      for (const { call } of this.#row.slices) if (!call.over) latest = Math.max(latest, call.deadline);
      this.#deadline = latest === -Infinity ? Infinity : latest;
    }
    return this.#deadline;
  }
}

function sumOf(weights: Weights): number {
  let sum = 0;
  for (const weight of weights ?? []) if (typeof weight === 'number') sum += weight;
  return sum;
}

/** A list of results may be such that reading it throws. */
function deliver(slice: Slice, results: readonly unknown[], at: number): number {
  try {
    return slice.call.deliver(slice, results, at);
  } catch (error) {
    slice.call.fail(error, slice);
    return 0;
  }
}

function tellSlices(row: Row, hook: string, list: readonly unknown[] | undefined, payload: unknown): void {
  let at = 0;
  const told = new Set<Call>();
  for (const slice of row.slices) {
    const { call, size } = slice;
    if (call.tell !== undefined && !call.over) {
      if (list !== undefined) call.tell(slice, hook, list.slice(at, at + size));
      // Once, also if values of others lie between its own.
      else if (!told.has(call)) call.tell(slice, hook, payload);
      told.add(call);
    }
    at += size;
  }
}
