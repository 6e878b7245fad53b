import { Gate } from './gate.js';
import { type Call, Row } from './row.js';
import type { Batch } from '../core/batch.js';
import { type Clock, endOfTurn } from '../core/clock.js';
import { Core } from '../core/core.js';
import { Deque } from '../core/deque.js';
import { Deferred, RESOLVED } from '../core/promise.js';
import type { Driver } from '../core/driver.js';
import type { Limits, Trigger } from '../core/schedule.js';

/** A pending `flush()`: resolves when the rows with a lower number are settled. */
class Flush extends Deferred {
  constructor(readonly below: number) {
    super();
  }
}

/** The core of a serving: its batches are rows. Values join at once, and leave at constant cost. */
export class Rows extends Core<Row> {
  /** While it is not 0, nothing is cut by time or started. */
  locks = 0;
  /** Calls so far. */
  calls = 0;
  /** Rows with values that are not settled, oldest first. */
  readonly #live = new Set<Row>();
  readonly #flushes = new Deque<Flush>();
  /** Batches are cut at the end of the event-loop turn that opened them. */
  readonly #eager: boolean;
  #opened = 0;
  #turnEnds = false;
  readonly #endOfTurn = (): void => {
    this.#turnEnds = false;
    // The row may have become full meanwhile: the next one would be cut at its first value.
    if (this.size === 0) return;
    this.schedule.markDue('age');
    this.turn();
  };

  constructor(driver: Driver<Row>, limits: Limits, clock: Clock, eager: boolean) {
    super(driver, limits, clock, clock.now(), false);
    this.capacity = Infinity;
    this.#eager = eager;
  }

  override turn(now?: number): boolean {
    return this.locks === 0 && super.turn(now);
  }

  /** Adds a value to the open row. */
  join(call: Call, value: unknown, weight: number): void {
    call.joined(this.#place(value), 1, weight);
    this.#joined(1, weight);
  }

  /** Adds values without weight to the open row, and to as many further ones as it takes. */
  joinAll(call: Call, values: readonly unknown[]): void {
    for (let from = 0, to = 0; from < values.length; from = to) {
      const row = this.#place(values[from]);
      to = Math.min(from + this.limits.size - this.size, values.length);
      for (let i = from + 1; i < to; i++) row.values.push(values[i]);
      call.joined(row, to - from, 0);
      this.#joined(to - from, 0);
    }
  }

  /** The short way, for a call of one value without options. */
  joinPlain(value: unknown): Promise<unknown> {
    const { state } = this;
    this.calls++;
    if (this.joined < this.fastLimit && state?.plain !== undefined) {
      state.values.push(value);
      this.accepted++;
      this.joined++;
      this.size++;
      return state.plain.wait();
    }
    const row = this.#place(value);
    if (row.values.length === 1) row.plain = new Gate();
    const promise = row.plain?.wait() ?? row.wait();
    this.#joined(1, 0);
    this.turn();
    return promise;
  }

  #place(value: unknown): Row {
    const row = this.state;
    if (this.size === 0 || row === undefined) return this.#open(value);
    row.values.push(value);
    return row;
  }

  #joined(count: number, weight: number): void {
    this.accepted += count;
    this.joined += count;
    this.size += count;
    this.weight += weight;
    if (this.size >= this.limits.size) this.seal('size');
    else if (this.weight >= this.limits.weight) this.seal('weight');
  }

  #open(first: unknown): Row {
    const row = new Row(this.#opened++, first);
    this.open(this.clock.now());
    this.opened = true;
    this.state = row;
    this.#live.add(row);
    if (this.#eager && !this.#turnEnds) this.#cutAtEndOfTurn();
    return row;
  }

  #cutAtEndOfTurn(): void {
    this.#turnEnds = true;
    try {
      endOfTurn(this.clock, this.#endOfTurn);
    } catch {
      // The clock has thrown: a microtask later instead.
      void RESOLVED.then(this.#endOfTurn);
    }
  }

  override seal(reason: Trigger): Batch<Row> {
    const batch = super.seal(reason);
    batch.state.batch = batch;
    return batch;
  }

  /** Cuts the open row, if there is one. */
  cut(reason: Trigger): void {
    if (this.size > 0) this.seal(reason);
    this.turn();
  }

  /** Cuts the open row if these values do not fit into it, but fit into a row of their own or are just one. */
  makeWay(size: number, weight: number): void {
    const { limits } = this;
    if (this.size === 0 || size > limits.size || (size > 1 && weight > limits.weight)) return;
    const heavy = this.weight + weight > limits.weight;
    if (heavy || this.size + size > limits.size) this.seal(heavy ? 'weight' : 'size');
  }

  /** Takes values out of a row that does not run. */
  take(row: Row, count: number, weight: number): void {
    const { batch } = row;
    if (batch === undefined) this.withdraw(count, weight);
    else {
      batch.size -= count;
      batch.weight -= weight;
      this.finished += count;
      if (batch.size <= 0) {
        // `init` may still be at work for it.
        if (batch.running) this.endRun(batch);
        this.remove(batch);
      }
    }
    if (row.size === 0) this.forget(row);
  }

  /** Rows that do not run, oldest first. */
  *waitingRows(): IterableIterator<Row> {
    for (const row of this.#live) if (!row.executing) yield row;
  }

  /** Cuts the open row; resolves when everything accepted by now is settled. */
  cutAndWait(): Promise<void> {
    this.cut('demand');
    if (this.#live.size === 0) return RESOLVED;
    const flush = new Flush(this.#opened);
    this.#flushes.push(flush);
    return flush.promise;
  }

  /** The row is settled, or all its values have left. */
  forget(row: Row): void {
    this.#live.delete(row);
    if (this.#flushes.length === 0) return;
    const oldest = this.#live.values().next();
    const settled = oldest.done === true ? Infinity : oldest.value.number;
    for (let first = this.#flushes.peek(); first !== undefined && first.below <= settled;) {
      this.#flushes.shift();
      first.resolve();
      first = this.#flushes.peek();
    }
  }
}
