import { type Call, type LooseSlice, type Row, type Slice, isError } from './row.js';

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

  get left(): boolean {
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
