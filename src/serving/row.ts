import type { Batch } from '../core/batch.js';

/**
 * Which value belongs to which call.
 *
 * A call numbers its values from 0; a batch is a row of values. A slice is where both meet: values `[from, from + size)`
 * of one call, next to each other in one batch. The bookkeeping is per call and batch, never per value; and a slice whose
 * caller has left can be taken out of the row without moving the values of others.
 */
export interface Slice {
  readonly call: Call;
  readonly from: number;
  readonly size: number;
  readonly weight: number;
  /** It was taken out of the row. */
  readonly gone: boolean;
  /** Its results became useless while the batch was running. */
  readonly left: boolean;
}

/** A slice that can leave its batch before the others do. */
export interface LooseSlice extends Slice {
  size: number;
  weight: number;
  row: Row;
  gone: boolean;
  left: boolean;
}

/** The values of one caller, and the promise or stream that gets their results. */
export interface Call {
  /** Settled. */
  over: boolean;
  /** Its caller gave up: by an abort, a timeout or by stopping to read. */
  aborted: boolean;
  /** Its values come from an async iterable. */
  readonly pulled: boolean;
  /** Until when its caller waits, by the serving's clock. */
  deadline: number;
  /** Whether further values of it are of any use. */
  readonly wanted: boolean;
  /** Cancels the deadline, the abort listener and the source of the call. */
  release: (() => void) | undefined;
  /** Its slices that are in batches and not settled. */
  slices(): Iterable<LooseSlice>;
  /** So many values of it are accepted. */
  expect(count: number): void;
  /** All its values are accepted; with a reason no more are, and the call fails once the earlier ones are settled. */
  end(reason?: { error: unknown }): void;
  /** Its next value has joined this row. */
  joined(row: Row, weight: number): void;
  /** Each value has an outcome of its own (`settleMany`). */
  readonly settles?: boolean;
  /** Its next value is refused on its own; for a call that settles. */
  refuse?(error: unknown): void;
  /** The results of the slice start at `results[at]`; returns how many of them were delivered. */
  deliver(slice: Slice, results: readonly unknown[], at: number): number;
  /** A slice of it has failed, or the whole call. */
  fail(error: unknown, slice?: Slice): void;
  /** The handler used a hook for a slice of it. */
  send?(slice: Slice, hook: string, payload: unknown): void;
}

/** The values of a batch, and the slices they belong to, in the same order. */
export class Row {
  values: unknown[] = [];
  slices: Slice[] = [];
  /** Values whose slices were taken out, but which are still in the list. */
  gone = 0;
  /** The handler has the values: none can be taken out any more. */
  executing = false;
  /** All its callers have their results or an error. */
  settled = false;
  /** Values of callers that still wait, while it runs. */
  waiting = 0;
  /** The present run, whose signal aborts when no caller is left. */
  run: { abort(reason: unknown): void } | undefined;
  /** The core's sealed batch; `undefined` while the row is open. */
  batch: Batch<Row> | undefined;

  constructor(
    /** Rows are numbered in the order in which they are opened. */
    readonly number: number,
  ) {}

  /** Values that are wanted. */
  get size(): number {
    return this.values.length - this.gone;
  }

  /** Takes the slice out. Its values leave at once only if they are many, so that taking out many slices stays linear. */
  take(slice: LooseSlice): void {
    slice.gone = true;
    this.gone += slice.size;
    if (this.gone * 2 > this.values.length) this.compact();
  }

  /** Drops all references: young objects that hang on an old one live until the old one is collected. */
  clear(): void {
    this.values = [];
    this.slices = [];
    this.gone = 0;
    this.run = undefined;
    this.batch = undefined;
  }

  compact(): void {
    if (this.gone === 0) return;
    const values: unknown[] = [];
    const slices: Slice[] = [];
    let at = 0;
    for (const slice of this.slices) {
      const end = at + slice.size;
      if (!slice.gone) {
        slices.push(slice);
        for (let i = at; i < end; i++) values.push(this.values[i]);
      }
      at = end;
    }
    this.values = values;
    this.slices = slices;
    this.gone = 0;
  }
}

/** The first slice of its kind, before values have joined it. */
export function sliceOf(call: Call, from: number, row: Row): LooseSlice {
  return { call, from, row, size: 0, weight: 0, gone: false, left: false };
}

/** The slices of a call of many values, from when their first value joins a batch until they are settled. */
export class Slices<S extends LooseSlice> {
  readonly open = new Set<S>();
  #last: S | undefined;
  #next = 0;

  constructor(readonly make: (from: number, row: Row) => S) {}

  joined(row: Row, weight: number): void {
    let last = this.#last;
    if (last === undefined || last.gone || last.row !== row || row.slices[row.slices.length - 1] !== last) {
      last = this.make(this.#next, row);
      this.#last = last;
      this.open.add(last);
      row.slices.push(last);
    }
    last.size++;
    last.weight += weight;
    this.#next++;
  }

  /** The next value joins no batch; returns its number. */
  skip(): number {
    this.#last = undefined;
    return this.#next++;
  }
}

const ERROR_TAGS = ['[object Error]', '[object DOMException]'];

/** An error in a slot, also one of another realm (as under test frameworks). */
export function isError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  try {
    if (value instanceof Error) return true;
    return 'stack' in value && ERROR_TAGS.includes(Object.prototype.toString.call(value));
  } catch {
    return false; // a proxy whose traps throw
  }
}
