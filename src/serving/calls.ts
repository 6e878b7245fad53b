import type { CallerContext } from './input.js';
import type { Mapping } from './mapping.js';
import type { Awaitable } from '../core/promise.js';
import { type Call, type LooseSlice, type Row, type Slice, Slices, isError, sliceOf } from './row.js';

/** Takes values out of batches that have not started. */
export interface Leaver {
  /** The caller has left, for that reason. */
  leave(call: Call, reason: unknown): void;
  takeOut(slices: Iterable<LooseSlice>, reason: unknown): void;
}

/**
 * A call of one value without options and weight: it is its own slice, and the only object made for it besides the
 * promise. It never leaves; only its row settles it.
 */
export class Plain implements Call, Slice {
  constructor(
    readonly resolve: (value: never) => void,
    readonly reject: (error: unknown) => void,
  ) {}

  get call(): this {
    return this;
  }

  get release(): undefined {
    return undefined;
  }

  get gone(): boolean {
    return false;
  }

  get from(): number {
    return 0;
  }

  get size(): number {
    return 1;
  }

  get weight(): number {
    return 0;
  }

  get over(): boolean {
    return false;
  }

  get aborted(): boolean {
    return false;
  }

  get pulled(): boolean {
    return false;
  }

  get deadline(): number {
    return Infinity;
  }

  get wanted(): boolean {
    return true;
  }

  slices(): Iterable<LooseSlice> {
    return [];
  }

  expect(): void {
    // It has one value.
  }

  end(): void {
    // It has one value.
  }

  joined(row: Row): void {
    row.slices.push(this);
  }

  deliver(_slice: Slice, results: readonly unknown[], at: number): number {
    const result = results[at];
    if (isError(result)) {
      this.reject(result);
      return 0;
    }
    this.resolve(result as never);
    return 1;
  }

  fail(error: unknown): void {
    this.reject(error);
  }
}

/** Any other call of one value, which is its own slice as well. */
export class Single implements Call, LooseSlice {
  over = false;
  aborted = false;
  gone = false;
  left = false;
  weight = 0;
  deadline = Infinity;
  release: (() => void) | undefined = undefined;
  row!: Row; // set when its value joins; `slices` looks before that

  constructor(
    readonly resolve: (value: never) => void,
    readonly reject: (error: unknown) => void,
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

  joined(row: Row, weight: number): void {
    this.row = row;
    this.weight = weight;
    row.slices.push(this);
  }

  deliver(_slice: Slice, results: readonly unknown[], at: number): number {
    const result = results[at];
    if (isError(result)) {
      this.fail(result);
      return 0;
    }
    this.over = true;
    this.release?.();
    this.resolve(result as never);
    return 1;
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.release?.();
    this.reject(error);
  }
}

export interface ManyParts {
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
  leaver: Leaver;
  pulled: boolean;
  /** Each value has an outcome of its own: a failed one fails no other. */
  settle: boolean;
  /** Makes the caller's result of all results; called in the context of the caller. */
  finish: ((results: unknown[]) => Awaitable<unknown>) | undefined;
  context: CallerContext | undefined;
  /** Counts the call while `finish` runs. */
  mapping: Mapping;
}

/** A call of many values, which gets its results in order, whatever finishes first. */
export class Many implements Call {
  over = false;
  aborted = false;
  deadline = Infinity;
  release: (() => void) | undefined = undefined;
  /** Called with the number of values that were settled. */
  credit: ((count: number) => void) | undefined = undefined;
  readonly #slices = new Slices((from, row) => sliceOf(this, from, row));
  readonly #parts: ManyParts;
  readonly #results: unknown[] = [];
  #missing = 0;
  #ended: { reason: { error: unknown } | undefined } | undefined;

  constructor(parts: ManyParts) {
    this.#parts = parts;
  }

  get pulled(): boolean {
    return this.#parts.pulled;
  }

  get settles(): boolean {
    return this.#parts.settle;
  }

  get wanted(): boolean {
    return !this.over;
  }

  slices(): Iterable<LooseSlice> {
    return this.#slices.open;
  }

  expect(count: number): void {
    this.#missing += count;
  }

  end(reason?: { error: unknown }): void {
    this.#ended ??= { reason };
    this.#conclude();
  }

  joined(row: Row, weight: number): void {
    this.#slices.joined(row, weight);
  }

  refuse(error: unknown): void {
    this.#results[this.#slices.skip()] = { status: 'rejected', reason: error };
    this.#missing--;
    this.credit?.(1);
  }

  deliver(slice: Slice, results: readonly unknown[], at: number): number {
    const { settle } = this.#parts;
    const { from, size } = slice;
    let good = 0;
    for (let i = 0; i < size; i++) {
      const result = results[at + i];
      const failed = isError(result);
      if (failed && !settle) {
        this.fail(result);
        return 0;
      }
      if (!failed) good++;
      if (!settle) this.#results[from + i] = result;
      else {
        this.#results[from + i] = failed
          ? { status: 'rejected', reason: result }
          : { status: 'fulfilled', value: result };
      }
    }
    this.#settled(slice);
    return good;
  }

  fail(error: unknown, slice?: Slice): void {
    if (this.over) return;
    if (slice !== undefined && this.#parts.settle) {
      for (let i = 0; i < slice.size; i++) this.#results[slice.from + i] = { status: 'rejected', reason: error };
      this.#settled(slice);
      return;
    }
    this.over = true;
    this.release?.();
    this.#parts.reject(error);
    this.#parts.leaver.leave(this, error);
  }

  #settled(slice: Slice): void {
    this.#slices.open.delete(slice as LooseSlice); // it makes no others
    this.#missing -= slice.size;
    this.credit?.(slice.size);
    this.#conclude();
  }

  #conclude(): void {
    if (this.#ended === undefined || this.#missing > 0 || this.over) return;
    const { reason } = this.#ended;
    const { finish, context, mapping } = this.#parts;
    if (reason !== undefined) this.fail(reason.error);
    else if (finish === undefined || context === undefined) this.#resolve(this.#results);
    else {
      const finished = context.run(() => finish(this.#results));
      mapping.start(this, this.#results.length, finished);
      finished.then(
        (value) => {
          this.#resolve(value);
        },
        (error: unknown) => {
          this.fail(error);
        },
      );
    }
  }

  #resolve(value: unknown): void {
    if (this.over) return;
    this.over = true;
    this.release?.();
    this.#parts.resolve(value as never);
  }
}
