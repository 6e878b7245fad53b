import type { Leaver, Plain } from './calls.js';
import type { ServingBatchInfo, ServingEvents } from './types.js';
import { checkResults, hooksOf, type Tell } from './hooks.js';
import type { Context, Partitions } from './partitions.js';
import type { Events } from '../events.js';
import { type Awaitable, andThen } from '../core/promise.js';
import { type Clock, endOfTurn } from '../core/clock.js';
import type { Engine } from '../core/engine.js';
import { type Flight, RunContext, type Verdict, type Workload } from '../core/flight.js';
import { type Retry, retryDelay } from '../options/retry.js';
import { type Call, type LooseSlice, Row, type Slice } from './row.js';

const NO_RESULTS: readonly unknown[] = [];
const NO_HOOKS = Object.freeze({});

export interface PortParts {
  clock: Clock;
  events: Events<ServingEvents>;
  partitions: Partitions;
  retry: Retry;
  hooks: readonly string[];
  runtimeOptions: unknown;
  weighs: boolean;
  /** Batches are cut at the end of the event-loop turn that opened them. */
  eager: boolean;
  /** Room may have come free. */
  admit: () => void;
}

/** The engine's port to a serving: puts values into rows, has them executed, and tells each call what became of its own. */
export class ServingPort implements Workload<unknown, Row, readonly unknown[]>, Leaver {
  readonly work = 'the handler';
  readonly counts = { calls: 0, batches: 0, delivered: 0, failed: 0, aborted: 0 };
  readonly weigh: (() => number) | undefined;
  /** Whose value is being added, and its weight: set before each, since a batch that runs at once may add others. */
  current!: Call;
  weight = 0;
  /** Failed batches are not tried again any more. */
  ending = false;
  engine!: Engine<unknown, Row, readonly unknown[]>; // set by the shell that makes both
  readonly #parts: PortParts;
  #turnEnds = false;
  /** How many there were in the last batch: the next may well be alike. */
  #lastValues = 0;
  #lastSlices = 0;
  readonly #endOfTurn = (): void => {
    this.#turnEnds = false;
    this.engine.ledger.ripen('age');
    this.engine.turn();
  };

  constructor(parts: PortParts) {
    this.#parts = parts;
    if (parts.weighs) this.weigh = () => this.weight;
  }

  /** Values accepted and not settled. */
  get pending(): number {
    const { delivered, failed, aborted } = this.counts;
    return this.engine.ledger.accepted - delivered - failed - aborted;
  }

  /** Takes a value; it joins at once, so that it is known whose it is. */
  put(call: Call, value: unknown, weight: number): void {
    this.current = call;
    this.weight = weight;
    const { intake, ledger } = this.engine;
    if (intake.join(value)) return;
    // A batch that is due would let it wait until the turn under way has sealed that.
    const due = ledger.due();
    if (due !== undefined) intake.seal(due);
    intake.add(value);
  }

  /** The short way, for a call of one value without weight. */
  putPlain(call: Plain, value: unknown): void {
    this.counts.calls++;
    const row = this.engine.intake.slot();
    if (row === undefined) {
      this.put(call, value, 0);
      return;
    }
    row.addValue(value);
    row.addSlice(call);
  }

  open(): Row {
    return new Row(this.#lastValues, this.#lastSlices);
  }

  add(row: Row, value: unknown): undefined {
    if (this.#parts.eager && !this.#turnEnds && this.engine.ledger.size === 0) {
      this.#turnEnds = true;
      endOfTurn(this.#parts.clock, this.#endOfTurn);
    }
    row.addValue(value);
    this.current.joined(row, this.weight);
  }

  run(flight: Flight<Row>): Awaitable<readonly unknown[]> {
    const row = flight.batch;
    if (row.size === 0) return NO_RESULTS;
    const run = flight.begun;
    const state = this.#parts.partitions.stateOf(flight.lane);
    return andThen(state, (ready) => {
      if (run <= flight.ended) throw new Error('expired'); // nobody listens any more; only the handler must not run
      return this.#execute(flight, run, ready);
    });
  }

  judge(flight: Flight<Row>): Verdict {
    const row = flight.batch;
    if (this.ending || row.slices.every(({ gone, call }) => gone || call.over)) return 'drop';
    return retryDelay(this.#parts.retry, flight.attempt) ?? 'drop';
  }

  delivered(flight: Flight<Row>, results: readonly unknown[], now: number): undefined {
    const row = flight.batch;
    if (results === NO_RESULTS) return;
    const { counts } = this;
    const { events } = this.#parts;
    const info = events.has('executed') ? this.#infoOf(flight, now) : undefined;
    row.settled = true;
    const { slices } = row;
    let at = 0;
    let good = 0;
    for (let i = 0; i < slices.length; i++) {
      const slice = slices[i] as Slice; // below the length
      const { call, size } = slice;
      if (call.over) this.#lose(slice);
      else if (deliver(slice, results, at)) good += size;
      else counts.failed += size;
      at += size;
    }
    counts.delivered += good;
    counts.batches++;
    row.clear();
    if (info !== undefined) events.emit('executed', info);
  }

  failed(flight: Flight<Row>, error: unknown, retryAt: number): void {
    const row = flight.batch;
    this.#tellFailed(flight, error, retryAt);
    row.executing = false;
    // Whose callers have gone meanwhile are not executed again.
    for (const call of new Set(row.slices.map((slice) => slice.call))) if (call.over) this.leave(call);
  }

  dropped(flight: Flight<Row>, error: unknown): { error: Error } {
    this.#tellFailed(flight, error, Infinity);
    this.abandon(flight.batch, error);
    return { error: error as Error }; // for flush, which a serving does not have
  }

  /** All its callers get the error. */
  abandon(row: Row, error: unknown): void {
    row.compact();
    row.executing = true;
    row.settled = true;
    for (const slice of row.slices) {
      if (slice.call.over) this.#lose(slice);
      else {
        slice.call.fail(error, slice);
        this.counts.failed += slice.size;
      }
    }
    row.clear();
  }

  held(_flight: Flight<Row>, error: unknown): Error {
    return error as Error; // never: no verdict says so
  }

  refused(_value: unknown, error: unknown): Error {
    return error as Error; // never: adding cannot fail
  }

  drained(): void {
    // Nobody has to know.
  }

  settled(): void {
    this.#parts.admit();
  }

  leave(call: Call): void {
    this.takeOut(call.slices());
  }

  /** Whoever is in these batches, which have not started, gets the error. */
  turnAway(rows: readonly Row[], error: unknown): void {
    const left = rows.map((row) => {
      row.compact();
      const { slices } = row;
      const weight = slices.reduce((sum, slice) => sum + slice.weight, 0);
      const all = { row, slices, size: row.size, weight };
      row.executing = true;
      row.settled = true;
      row.clear();
      return all;
    });
    // In this order: nobody is told while another's values could still start.
    for (const slice of left.flatMap(({ slices }) => slices)) {
      this.counts[slice.call.aborted ? 'aborted' : 'failed'] += slice.size;
      slice.call.fail(error);
    }
    for (const { row, size, weight } of left) this.engine.withdraw(row, size, weight);
  }

  takeOut(slices: Iterable<LooseSlice>): void {
    const out = [...slices].filter((slice) => !slice.gone && !slice.batch.executing);
    for (const slice of out) {
      slice.batch.take(slice);
      this.counts[slice.call.aborted ? 'aborted' : 'failed'] += slice.size;
    }
    // Only then: what starts now must not have any of them.
    for (const { batch, size, weight } of out) this.engine.withdraw(batch, size, weight);
  }

  #execute(flight: Flight<Row>, run: number, state: unknown): Awaitable<readonly unknown[]> {
    const row = flight.batch;
    row.compact();
    const { size } = row;
    if (size === 0) return NO_RESULTS;
    this.#lastValues = size;
    this.#lastSlices = row.slices.length;
    row.executing = true;
    const { hooks, runtimeOptions, retry, partitions } = this.#parts;
    const alive = (): boolean => run > flight.ended;
    const tell: Tell = (hook, list, payload) => {
      tellSlices(row, hook, list, payload);
    };
    const told = hooks.length === 0 ? NO_HOOKS : hooksOf(hooks, size, alive, tell);
    const context = new HandlerContext(flight, size, state, told, runtimeOptions);
    // A handler that sorts its list in place must not mix up the next attempt.
    const values = retry.attempts > 1 ? row.values.slice() : row.values;
    return andThen(partitions.handle(values, context), (results) => checkResults(results, size));
  }

  #lose({ call, size }: Slice): void {
    this.counts[call.aborted ? 'aborted' : 'failed'] += size;
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

class HandlerContext extends RunContext implements Context {
  readonly partition: number;
  readonly inline = false;

  constructor(
    flight: Flight<Row>,
    size: number,
    readonly state: unknown,
    readonly hooks: Context['hooks'],
    readonly runtimeOptions: unknown,
  ) {
    super(flight, size);
    this.partition = flight.lane;
  }
}

/** A list of results may be such that reading it throws. */
function deliver(slice: Slice, results: readonly unknown[], at: number): boolean {
  try {
    return slice.call.deliver(slice, results, at);
  } catch (error) {
    slice.call.fail(error, slice);
    return false;
  }
}

function tellSlices(row: Row, hook: string, list: readonly unknown[] | undefined, payload: unknown): void {
  let at = 0;
  const told = new Set<Call>();
  for (const slice of row.slices) {
    const { call, size } = slice;
    if (call.tell !== undefined && !call.over) {
      if (list !== undefined) call.tell(slice, hook, list.slice(at, at + size));
      // Once, also if others have come between its values.
      else if (!told.has(call)) call.tell(slice, hook, payload);
      told.add(call);
    }
    at += size;
  }
}
