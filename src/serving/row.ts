import type { Batch } from '../core/batch.js';
import { type Settle, capture, captured } from '../core/promise.js';
import type { Gate } from './gate.js';
import { isError } from '../errors.js';

/**
 * Which value belongs to which call. A call numbers its values from 0; a batch is a row of values.
 * A slice is where both meet: values `[from, from + size)` of one call, next to each other in one batch. The bookkeeping
 * is per call and batch, never per value; and a slice whose caller has left can be taken out of the row without moving
 * the values of others.
 */
export interface Slice {
  readonly call: Call;
  readonly from: number;
  readonly size: number;
  readonly weight: number;
  /** It was taken out of the row. */
  readonly removed: boolean;
  /** Its results became useless while the batch was running. */
  readonly left: boolean;
}

/** A slice that can leave its batch before the others do. */
export interface LooseSlice extends Slice {
  size: number;
  weight: number;
  row: Row;
  removed: boolean;
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
  /** Its next values, so many and of this weight together, have joined this row. */
  joined(row: Row, count: number, weight: number): void;
  /** Each value has an outcome of its own (`settleMany`). */
  readonly settles?: boolean;
  /** Its next value is refused on its own; for a call that settles. */
  refuse?(error: unknown): void;
  /** The results of the slice start at `results[at]`; returns how many of them were delivered. */
  deliver(slice: Slice, results: readonly unknown[], at: number): number;
  /** A slice of it has failed, or the whole call. */
  fail(error: unknown, slice?: Slice): void;
  /** The rest of `fail`, for a call that is over: releases what it holds, and rejects. */
  dismiss(error: unknown): void;
  /** Plain callers that could leave in the time that it takes this one; 1 unless it says so. */
  readonly bulk?: number;
  /** The handler used a hook for a slice of it. */
  send?(slice: Slice, hook: string, payload: unknown): void;
}

/** Shared by all rows that are settled: nothing joins them. */
const NOTHING: never[] = [];

/** The values of a batch, and the slices they belong to, in the same order. */
export class Row {
  values: unknown[];
  /** Its callers, while each has one value and no options. */
  plain: Gate | undefined = undefined;
  #slices: Slice[] = [];
  /** Values whose slices were taken out, but which are still in the list. */
  removed = 0;
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
    first: unknown,
  ) {
    // With one element: an empty list is given room for 17 by its first push, and a row may have just one value.
    this.values = [first];
  }

  /** Values that are wanted. */
  get size(): number {
    return this.values.length - this.removed;
  }

  get slices(): Slice[] {
    if (this.plain !== undefined) this.#makeSlices(this.plain);
    return this.#slices;
  }

  /** The slice of a value that has just joined. */
  add(slice: Slice): void {
    const { slices } = this;
    if (slices.length === 0) this.#slices = [slice];
    else slices.push(slice);
  }

  /** The promise of the caller of a value that has just joined, and has no options, in a row of others that have. */
  wait(): Promise<unknown> {
    const promise = new Promise<unknown>(capture);
    this.#addSingle(captured);
    return promise;
  }

  #addSingle({ resolve, reject }: { resolve: Settle; reject: Settle }): void {
    const single = new Single(resolve, reject);
    single.row = this;
    this.#slices.push(single);
  }

  #makeSlices(plain: Gate): void {
    this.plain = undefined;
    // The value that makes them necessary is in the list already.
    for (let i = 0; i < plain.callers; i++) this.#addSingle(plain.functionsOf(i));
  }

  /** Takes the slice out. Its values leave at once only if they are many, so that taking out many slices stays linear. */
  take(slice: LooseSlice): void {
    slice.removed = true;
    this.removed += slice.size;
    if (this.removed * 2 > this.values.length) this.compact();
  }

  /** Drops all references: young objects that hang on an old one live until the old one is collected. */
  clear(): void {
    this.values = NOTHING;
    this.plain = undefined;
    this.#slices = NOTHING;
    this.removed = 0;
    this.run = undefined;
    this.batch = undefined;
  }

  compact(): void {
    if (this.removed === 0) return;
    const values: unknown[] = [];
    const slices: Slice[] = [];
    let at = 0;
    for (const slice of this.slices) {
      const end = at + slice.size;
      if (!slice.removed) {
        slices.push(slice);
        for (let i = at; i < end; i++) values.push(this.values[i]);
      }
      at = end;
    }
    this.values = values;
    this.#slices = slices;
    this.removed = 0;
  }
}

/** A call of one value, which is its own slice. */
export class Single implements Call, LooseSlice {
  over = false;
  aborted = false;
  removed = false;
  left = false;
  weight = 0;
  deadline = Infinity;
  release: (() => void) | undefined = undefined;
  row!: Row; // set when its value joins; `slices` looks before that

  constructor(
    readonly resolve: Settle,
    readonly reject: Settle,
  ) {}

  get call(): this {
    return this;
  }

  get from(): number {
    return 0;
  }

  get size(): number {
    return 1;
  }

  get pulled(): boolean {
    return false;
  }

  get wanted(): boolean {
    return !this.over;
  }

  slices(): Iterable<LooseSlice> {
    // While it waits for room it is in no batch.
    return (this.row as Row | undefined) === undefined ? [] : [this];
  }

  expect(): void {
    // It has one value.
  }

  end(): void {
    // It has one value.
  }

  joined(row: Row, _count: number, weight: number): void {
    this.row = row;
    this.weight = weight;
    row.add(this);
  }

  deliver(_slice: Slice, results: readonly unknown[], at: number): number {
    const result = results[at];
    if (isError(result)) {
      this.fail(result);
      return 0;
    }
    this.over = true;
    this.release?.();
    this.resolve(result);
    return 1;
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.dismiss(error);
  }

  dismiss(error: unknown): void {
    this.release?.();
    this.reject(error);
  }
}
