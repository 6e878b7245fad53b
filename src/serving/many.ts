import type { CallerContext } from './caller-context.js';
import type { Mapping } from './mapping.js';
import type { Awaitable } from '../core/promise.js';
import type { Call, LooseSlice, Row, Slice } from './row.js';
import { CallSlice, type Leaver, Slices } from './slices.js';
import { isError } from '../errors.js';

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
  readonly #slices = new Slices<LooseSlice>((from, row) => new CallSlice(this, from, row));
  readonly #parts: ManyParts;
  #results: unknown[] = [];
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

  joined(row: Row, count: number, weight: number): void {
    this.#slices.joined(row, count, weight);
  }

  refuse(error: unknown): void {
    this.#results[this.#slices.skip()] = { status: 'rejected', reason: error };
    this.#missing--;
    this.credit?.(1);
  }

  deliver(slice: Slice, results: readonly unknown[], at: number): number {
    if (this.#parts.settle) return this.#deliverOutcomes(slice, results, at);
    const { from, size } = slice;
    const end = at + size;
    for (let i = at; i < end; i++) {
      const result = results[i];
      if (typeof result === 'object' && isError(result)) {
        this.fail(result);
        return 0;
      }
    }
    // A call that has one slice, as most have, gets its results in one piece.
    if (from === 0 && this.#results.length === 0) this.#results = results.slice(at, end);
    else for (let i = 0; i < size; i++) this.#results[from + i] = results[at + i];
    this.#settled(slice);
    return size;
  }

  #deliverOutcomes(slice: Slice, results: readonly unknown[], at: number): number {
    const { from, size } = slice;
    let good = 0;
    for (let i = 0; i < size; i++) {
      const result = results[at + i];
      const failed = isError(result);
      if (!failed) good++;
      this.#results[from + i] = failed
        ? { status: 'rejected', reason: result }
        : { status: 'fulfilled', value: result };
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
    this.dismiss(error);
  }

  dismiss(error: unknown): void {
    this.release?.();
    this.#parts.reject(error);
    this.#parts.leaver.leave(this, error);
  }

  #settled(slice: Slice): void {
    this.#slices.settled(slice as LooseSlice); // it makes no others
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
