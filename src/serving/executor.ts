import type { Weights } from './admission.js';
import type { Leaver, Plain } from './calls.js';
import type { ServingBatchInfo, ServingEvents } from './types.js';
import { checkResults, hooksOf, type Context, type Partitions } from './partitions.js';
import type { Events } from '../events.js';
import { type Awaitable, Deferred, RESOLVED, andThen, onAbort } from '../core/promise.js';
import { type Clock, endOfTurn } from '../core/clock.js';
import { Engine } from '../core/engine.js';
import { Fifo } from '../core/deque.js';
import { type Flight, RunContext, type Verdict, type Workload } from '../core/flight.js';
import type { Trigger } from '../core/ledger.js';
import { type Retry, retryDelay } from '../options/retry.js';
import { type Call, type LooseSlice, Row, type Slice } from './row.js';

const NO_RESULTS: readonly unknown[] = [];

export interface ExecutorParts {
  clock: Clock;
  events: Events<ServingEvents>;
  partitions: Partitions;
  retry: Retry;
  hooks: readonly string[];
  runtimeOptions: unknown;
  batchSize: number;
  maxBatchWeight: number;
  weighs: boolean;
  /** 0: batches are cut at the end of the event-loop turn that opened them. */
  batchTimeout: number;
  handlerTimeout: number;
  lanes: number;
  /** Room may have come free. */
  admit: () => void;
}

/** Puts values into rows, has them executed, and hands each call its results. The only user of the core. */
export class Executor implements Workload<unknown, Row, readonly unknown[]>, Leaver {
  readonly work = 'the handler';
  readonly weigh: (() => number) | undefined;
  readonly counts = { calls: 0, values: 0, batches: 0, delivered: 0, failed: 0, aborted: 0 };
  /** Pending values of async iterables. */
  pulled = 0;
  /** Failed batches are not executed again. */
  ending = false;
  readonly #engine: Engine<unknown, Row, readonly unknown[]>;
  readonly #parts: ExecutorParts;
  /** Rows with values that are not settled, oldest first. */
  readonly #rows = new Set<Row>();
  #opened = 0;
  /** Pending `flush()` calls: each resolves when the rows below its number are settled. */
  readonly #flushes = new Fifo<Flush>();
  /** Signals to abort once the values that leave have left: that calls user code. */
  #aborts: (() => void)[] = [];
  #turnEnds = false;
  /** The call whose value is being added, and its weight. */
  #call!: Call; // set before each add
  #weight = 0;
  readonly #endOfTurn = (): void => {
    this.#turnEnds = false;
    this.#engine.ledger.ripen('age');
    this.#engine.turn();
  };

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.weigh = parts.weighs ? () => this.#weight : undefined;
    const { batchTimeout, clock } = parts;
    const limits = {
      size: parts.batchSize,
      weight: parts.maxBatchWeight,
      age: batchTimeout === 0 ? Infinity : batchTimeout,
      sinceFlush: Infinity,
      interval: Infinity,
      jitter: 0,
      lanes: Math.min(parts.lanes, 1000),
      attempt: parts.partitions.timesOut ? Infinity : parts.handlerTimeout,
      entry: Infinity,
      random: Math.random,
    };
    this.#engine = new Engine<unknown, Row, readonly unknown[]>(this, limits, clock, clock.now(), false);
    this.#engine.intake.capacity = Infinity;
  }

  /** Values accepted and not settled. */
  get pending(): number {
    const { values, delivered, failed, aborted } = this.counts;
    return values - delivered - failed - aborted;
  }

  /** Batches that run. */
  get running(): number {
    return this.#engine.ledger.active.filter((cut) => cut.running).length;
  }

  /** Rows that are not running, oldest first. */
  *waitingRows(): IterableIterator<Row> {
    for (const row of this.#rows) if (!row.executing) yield row;
  }

  /** The short way, for a call of one value without options. */
  putPlain(call: Plain, value: unknown): void {
    this.counts.calls++;
    this.counts.values++;
    const row = this.#engine.intake.slot();
    if (row === undefined) {
      this.#add(call, value, 0);
      return;
    }
    row.values.push(value);
    row.slices.push(call);
  }

  /**
   * Values enter in one step: no batch is cut for its age, or started, between two of them. `whole`: a call that fits into
   * one batch is not split over two.
   */
  enter(call: Call, values: readonly unknown[], weights: Weights, whole: boolean): void {
    this.together(() => {
      if (whole) this.#makeWay(values.length, sumOf(weights));
      values.forEach((value, i) => {
        const weight = weights?.[i] ?? 0;
        if (typeof weight !== 'number') {
          call.refuse?.(weight);
          return;
        }
        if (weight > 0) this.#makeWay(1, weight);
        this.counts.values++;
        if (call.pulled) this.pulled++;
        this.#add(call, value, weight);
      });
    });
  }

  /** Calls `work`, which runs no user code; batches are cut and started after it. */
  together(work: () => void): void {
    const engine = this.#engine;
    engine.locks++;
    try {
      work();
    } finally {
      engine.locks--;
      if (engine.locks === 0) engine.turn();
    }
    if (engine.locks === 0) for (const abort of this.#aborts.splice(0)) abort();
  }

  /** Cuts the open batch. */
  seal(reason: Trigger): void {
    this.#engine.intake.seal(reason);
    this.#engine.turn();
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
      run.leave(reason);
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
    this.#engine.withdraw(row.batch as Flight<Row> | undefined, size, weight);
    if (row.size === 0) this.#forget(row);
  }

  /** All callers of the row get the error. */
  abandon(row: Row, error: unknown): void {
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
    const { batches, cause } = await this.#engine.close(timeout, true);
    return { rows: batches, cause };
  }

  // Rows

  #add(call: Call, value: unknown, weight: number): void {
    this.#call = call;
    this.#weight = weight;
    const { intake, ledger } = this.#engine;
    const due = ledger.due();
    if (due !== undefined) intake.seal(due);
    intake.add(value);
  }

  /** Cuts the open batch if these values do not fit into it, but fit into a batch of their own or are just one. */
  #makeWay(size: number, weight: number): void {
    const { ledger, intake } = this.#engine;
    const { batchSize, maxBatchWeight } = this.#parts;
    if (ledger.size === 0 || size > batchSize || (size > 1 && weight > maxBatchWeight)) return;
    const heavy = ledger.weight + weight > maxBatchWeight;
    if (heavy || ledger.size + size > batchSize) intake.seal(heavy ? 'weight' : 'size');
  }

  open(): Row {
    return new Row();
  }

  add(row: Row, value: unknown): undefined {
    if (this.#parts.batchTimeout === 0 && !this.#turnEnds && this.#engine.ledger.size === 0) this.#cutAtEndOfTurn();
    if (row.size === 0) {
      // New, or all its values were taken out: it counts as opened now.
      row.number = this.#opened++;
      this.#rows.add(row);
    }
    row.values.push(value);
    this.#call.joined(row, this.#weight);
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

  sealed(flight: Flight<Row>): void {
    flight.batch.batch = flight;
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

  run(flight: Flight<Row>): Awaitable<readonly unknown[]> {
    const row = flight.batch;
    if (row.size === 0) return NO_RESULTS;
    const run = flight.begun;
    const state = this.#parts.partitions.stateOf(flight.lane);
    return andThen(state, (ready) => {
      if (run <= flight.ended) throw new Error('expired'); // ignored by the core; the handler must not run
      return this.#execute(flight, run, ready);
    });
  }

  #execute(flight: Flight<Row>, run: number, state: unknown): Awaitable<readonly unknown[]> {
    const row = flight.batch;
    row.compact();
    const { size } = row;
    if (size === 0) return NO_RESULTS;
    row.executing = true;
    row.waiting = size;
    const { hooks, runtimeOptions, retry, partitions } = this.#parts;
    const told = hooksOf(
      hooks,
      size,
      () => run > flight.ended,
      (hook, list, payload) => {
        tellSlices(row, hook, list, payload);
      },
    );
    row.run = new ServingRun(flight, row, state, told, runtimeOptions);
    // A handler that sorts its list in place must not mix up the next attempt.
    const values = retry.attempts > 1 ? row.values.slice() : row.values;
    return andThen(partitions.handle(values, row.run), (results) => checkResults(results, size));
  }

  judge(flight: Flight<Row>): Verdict {
    const { slices } = flight.batch;
    if (this.ending || slices.every(({ gone, call }) => gone || call.over)) return 'drop';
    return retryDelay(this.#parts.retry, flight.attempt, Math.random) ?? 'drop';
  }

  delivered(flight: Flight<Row>, results: readonly unknown[], now: number): undefined {
    const row = flight.batch;
    if (results === NO_RESULTS) {
      this.#forget(row);
      return;
    }
    const { counts } = this;
    const { events } = this.#parts;
    const info = events.has('executed') ? this.#infoOf(flight, now) : undefined;
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

  failed(flight: Flight<Row>, error: unknown, retryAt: number): void {
    const row = flight.batch;
    this.#tellFailed(flight, error, retryAt);
    row.executing = false;
    row.run = undefined;
    // Callers that left meanwhile: their values are not executed again.
    this.takeOut(row.slices.filter(({ call }) => call.over) as LooseSlice[], error);
  }

  dropped(flight: Flight<Row>, error: unknown): { error: Error } {
    this.#tellFailed(flight, error, Infinity);
    this.abandon(flight.batch, error);
    return { error: error as Error };
  }

  held(_flight: Flight<Row>, error: unknown): Error {
    return error as Error; // not reached: judge never holds
  }

  refused(_value: unknown, error: unknown): Error {
    return error as Error; // not reached: adding cannot fail
  }

  drained(): void {
    // Nothing to do.
  }

  settled(): void {
    this.#parts.admit();
  }

  #tellFailed(flight: Flight<Row>, error: unknown, retryAt: number): void {
    const { events, clock } = this.#parts;
    if (events.has('failed')) events.emit('failed', { ...this.#infoOf(flight, clock.now()), error, retryAt });
  }

  #infoOf(flight: Flight<Row>, now: number): ServingBatchInfo {
    const { lane, reason, attempt, startedAt, batch } = flight;
    const calls = new Set(batch.slices.map(({ call }) => call)).size;
    return { partition: lane, size: batch.size, reason, attempt, duration: now - startedAt, calls };
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
  #controller: AbortController | undefined;
  #left: { reason: unknown } | undefined;
  #deadline: number | undefined;

  constructor(
    flight: Flight<Row>,
    row: Row,
    readonly state: unknown,
    readonly hooks: Context['hooks'],
    readonly runtimeOptions: unknown,
  ) {
    super(flight, row.size);
    this.partition = flight.lane;
    this.#row = row;
  }

  /** The latest time at which a caller of the batch still waits. */
  get deadline(): number {
    if (this.#deadline !== undefined) return this.#deadline;
    const deadlines = this.#row.slices.map(({ call }) => (call.over ? -Infinity : call.deadline));
    this.#deadline = deadlines.length === 0 ? Infinity : deadlines.reduce((a, b) => Math.max(a, b));
    return this.#deadline;
  }

  override get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = (this.#controller = new AbortController());
      const outer = super.signal;
      if (outer.aborted) controller.abort(outer.reason);
      else
        onAbort(outer, () => {
          controller.abort(outer.reason);
        });
      if (this.#left !== undefined) controller.abort(this.#left.reason);
    }
    return this.#controller.signal;
  }

  /** No caller of the batch is left. */
  leave(reason: unknown): void {
    this.#left = { reason };
    this.#controller?.abort(reason);
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
