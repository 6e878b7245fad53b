import type { Mapping } from './mapping.js';
import { andThen, isThenable, type Awaitable } from '../core/promise.js';
import { type Call, type LooseSlice, type Row, type Slice, Slices, isError, sliceOf } from './row.js';

/** Takes values out of batches that have not started. */
export interface Leaver {
  leave(call: Call): void;
  takeOut(slices: Iterable<LooseSlice>): void;
}

/**
 * A call of one value that nothing watches over, and that has no weight: it is its own slice, and all that is made for it
 * besides the promise. Only the row that it is in settles it.
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

  get wanted(): boolean {
    return true;
  }

  slices(): Iterable<LooseSlice> {
    return []; // it never leaves
  }

  expect(): void {
    // Its one value is all there is.
  }

  end(): void {
    // The same.
  }

  joined(batch: Row): void {
    batch.addSlice(this);
  }

  deliver(_slice: Slice, results: readonly unknown[], at: number): boolean {
    const result = results[at];
    if (isError(result)) {
      this.reject(result);
      return false;
    }
    this.resolve(result as never);
    return true;
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
  weight = 0;
  release: (() => void) | undefined = undefined;
  batch!: Row; // set when its value joins, before anybody can look

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

  get wanted(): boolean {
    return !this.over;
  }

  slices(): Iterable<LooseSlice> {
    // While it waits for room it is in no batch.
    return (this.batch as Row | undefined) === undefined ? [] : [this];
  }

  expect(): void {
    // Its one value is all there is.
  }

  end(): void {
    // The same.
  }

  joined(batch: Row, weight: number): void {
    this.batch = batch;
    this.weight = weight;
    batch.addSlice(this);
  }

  deliver(_slice: Slice, results: readonly unknown[], at: number): boolean {
    const result = results[at];
    if (isError(result)) {
      this.fail(result);
      return false;
    }
    this.over = true;
    this.release?.();
    this.resolve(result as never);
    return true;
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
  /** Makes of all results what the caller gets. */
  finish: ((results: unknown[]) => Awaitable<unknown>) | undefined;
  /** Told of a map that answers later. */
  mapping: Mapping;
}

/** A call of many values, which gets its results in order, whatever finishes first. */
export class Many implements Call {
  over = false;
  aborted = false;
  release: (() => void) | undefined = undefined;
  /** Told how many more of its values are settled. */
  credit: ((count: number) => void) | undefined = undefined;
  readonly #slices = new Slices((from, batch) => sliceOf(this, from, batch));
  readonly #parts: ManyParts;
  readonly #results: unknown[] = [];
  #missing = 0;
  #ended: { reason: { error: unknown } | undefined } | undefined;

  constructor(parts: ManyParts) {
    this.#parts = parts;
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

  joined(batch: Row, weight: number): void {
    this.#slices.joined(batch, weight);
  }

  deliver(slice: Slice, results: readonly unknown[], at: number): boolean {
    const { from, size } = slice;
    for (let i = 0; i < size; i++) {
      const result = results[at + i];
      if (isError(result)) {
        this.fail(result);
        return false;
      }
      this.#results[from + i] = result;
    }
    this.#slices.open.delete(slice as LooseSlice);
    this.#missing -= size;
    this.credit?.(size);
    this.#conclude();
    return true;
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.release?.();
    this.#parts.reject(error);
    this.#parts.leaver.leave(this);
  }

  #conclude(): void {
    if (this.#ended === undefined || this.#missing > 0 || this.over) return;
    const { reason } = this.#ended;
    if (reason !== undefined) {
      this.fail(reason.error);
      return;
    }
    if (this.#parts.finish === undefined) this.#resolve(this.#results);
    else this.#finish(this.#parts.finish);
  }

  #finish(finish: (results: unknown[]) => Awaitable<unknown>): void {
    try {
      const finished = andThen(finish(this.#results), (value) => {
        this.#resolve(value);
      });
      if (!isThenable(finished)) return;
      this.#parts.mapping.start(this, this.#results.length, finished);
      finished.then(undefined, (error: unknown) => {
        this.fail(error);
      });
    } catch (error) {
      this.fail(error);
    }
  }

  #resolve(value: unknown): void {
    if (this.over) return;
    this.over = true;
    this.release?.();
    this.#parts.resolve(value as never);
  }
}
