import { Deque } from '../core/deque.js';
import { Portions, type Work } from './portions.js';
import type { Trigger } from '../core/schedule.js';
import type { Call, LooseSlice, Row, Slice } from './row.js';
import type { Rows } from './rows.js';
import type { Leaver } from './slices.js';

/** The weight of each value, or the error of its `weigh`; without weights all weigh nothing. */
export type Weights = readonly (number | Error)[] | undefined;

/** Puts the values of calls into rows, takes them out again, and counts what became of them. */
export class Placement implements Leaver {
  readonly counts = { batches: 0, delivered: 0, failed: 0, aborted: 0 };
  /** Pending values of async iterables. */
  pulled = 0;
  /** Failed batches are not executed again. */
  ending = false;
  /** Those who leave at the same time. Until all of them have left, nothing is cut by time or started. */
  readonly leaving: Portions;
  /** Why rows are turned away that wait for their portion. */
  #unexecuted: Error | undefined;
  /** Aborts of signals, which call user code: put off until all values that leave have left. */
  readonly #aborts = new Deque<() => void>();
  readonly #rows: Rows;

  constructor(rows: Rows) {
    this.#rows = rows;
    this.leaving = new Portions(
      rows.clock,
      () => rows.locks++,
      () => {
        rows.locks--;
        rows.turn();
        this.#abortSignals();
      },
    );
  }

  get calls(): number {
    return this.#rows.calls;
  }

  /** Values accepted so far. */
  get values(): number {
    return this.#rows.accepted;
  }

  /** Values accepted and not settled. */
  get pending(): number {
    const { delivered, failed, aborted } = this.counts;
    return this.#rows.accepted - delivered - failed - aborted;
  }

  /** Batches that run. */
  get running(): number {
    let count = 0;
    for (const batch of this.#rows.active) if (batch.running) count++;
    return count;
  }

  /** Counts a call. */
  called(): void {
    this.#rows.calls++;
  }

  /** Rows that do not run, oldest first. */
  waitingRows(): IterableIterator<Row> {
    return this.#rows.waitingRows();
  }

  /**
   * Values enter in one step: no batch is cut for its age, or started, between two of them. `whole`: a call that fits into
   * one batch is not split over two.
   */
  enter(call: Call, values: readonly unknown[], weights: Weights, whole: boolean): void {
    const rows = this.#rows;
    this.together(() => {
      if (whole) rows.makeWay(values.length, sumOf(weights));
      if (weights === undefined) {
        rows.joinAll(call, values);
        if (call.pulled) this.pulled += values.length;
        return;
      }
      for (const [i, weight] of weights.entries()) {
        if (typeof weight !== 'number') call.refuse?.(weight);
        else {
          if (weight > 0) rows.makeWay(1, weight);
          rows.join(call, values[i], weight);
          if (call.pulled) this.pulled++;
        }
      }
    });
  }

  /** Calls `work`, which runs no user code; batches are cut and started after it. */
  together(work: () => void): void {
    this.#locked(work);
    this.#rows.turn();
    this.#abortSignals();
  }

  /** Calls `work`, which may run user code, within a callback of the core: that turns by itself after it. */
  inCallback(work: () => void): void {
    this.#locked(work);
    this.#abortSignals();
  }

  #locked(work: () => void): void {
    this.#rows.locks++;
    try {
      work();
    } finally {
      this.#rows.locks--;
    }
  }

  #abortSignals(): void {
    if (this.#rows.locks > 0) return;
    for (let abort = this.#aborts.shift(); abort !== undefined; abort = this.#aborts.shift()) abort();
  }

  /** Cuts the open batch. */
  seal(reason: Trigger): void {
    this.#rows.cut(reason);
  }

  flush(): Promise<void> {
    return this.#rows.cutAndWait();
  }

  // Leaving

  leave(call: Call, reason: unknown): void {
    this.takeOut(call.slices(), reason);
  }

  takeOut(slices: Iterable<LooseSlice>, reason: unknown): void {
    this.together(() => {
      this.#takeOut(slices, reason);
    });
  }

  #takeOut(slices: Iterable<LooseSlice>, reason: unknown): void {
    for (const slice of slices) {
      const { row } = slice;
      if (slice.removed) continue;
      if (row.executing) this.#leaveRunning(slice, reason);
      else {
        this.lose(slice);
        row.take(slice);
        this.#rows.take(row, slice.size, slice.weight);
      }
    }
  }

  /** Takes out of a row, which is about to be executed, what waits for its portion to leave. */
  sift(row: Row): void {
    if (!this.leaving.busy) return;
    this.inCallback(() => {
      if (this.#unexecuted !== undefined) this.#withdraw(row);
      else this.#takeOut(row.slices.filter(({ call }) => call.over) as LooseSlice[], undefined);
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

  /** The callers with values in these rows, which do not run, get the error. `queued`: the rows are still in the core. */
  turnAway(rows: readonly Row[], error: Error, queued: boolean): void {
    if (queued) this.#unexecuted = error;
    this.leaving.add(this.#refuseAll(rows, error, queued));
  }

  *#refuseAll(rows: readonly Row[], error: Error, queued: boolean): Work {
    for (const row of rows) {
      if (row.settled || row.size === 0) continue; // its callers have left meanwhile
      if (queued) this.#withdraw(row);
      yield* this.#refuse(row, error);
    }
  }

  /** Takes the row, which does not run, out of the core. */
  #withdraw(row: Row): void {
    if (row.executing) return;
    row.compact();
    row.executing = true;
    const weight = row.plain === undefined ? row.slices.reduce((sum, slice) => sum + slice.weight, 0) : 0;
    this.#rows.take(row, row.size, weight);
  }

  /** All callers of the row get the error. */
  giveUp(row: Row, error: unknown): void {
    const work = this.#refuse(row, error);
    while (work.next().done !== true);
  }

  *#refuse(row: Row, error: unknown): Work {
    row.compact();
    row.executing = row.settled = true;
    const { plain } = row;
    if (plain !== undefined) {
      this.counts.failed += row.size;
      plain.refuse(error);
      this.settle(row);
      yield plain.callers;
      return;
    }
    for (const slice of row.slices) {
      this.lose(slice);
      if (!slice.call.over) slice.call.fail(error, slice);
      yield 1;
    }
    this.settle(row);
  }

  /** Resolves when nothing runs any more, with the rows that were not executed. */
  async close(timeout: number): Promise<{ rows: Row[]; cause: unknown }> {
    const { batches, cause } = await this.#rows.close(timeout, true);
    return { rows: batches.map(({ state }) => state), cause };
  }

  /** Its callers have their results or an error. */
  settle(row: Row): void {
    row.settled = true;
    row.clear();
    this.#rows.forget(row);
  }

  /** Its values get no results. */
  lose({ call, size }: Slice): void {
    this.counts[call.aborted ? 'aborted' : 'failed'] += size;
    if (call.pulled) this.pulled -= size;
  }
}

function sumOf(weights: Weights): number {
  let sum = 0;
  for (const weight of weights ?? []) if (typeof weight === 'number') sum += weight;
  return sum;
}
