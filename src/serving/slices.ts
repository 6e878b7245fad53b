import type { Call, LooseSlice, Row } from './row.js';

/** Takes values out of batches that have not started. */
export interface Leaver {
  /** The caller has left, for that reason. */
  leave(call: Call, reason: unknown): void;
  takeOut(slices: Iterable<LooseSlice>, reason: unknown): void;
}

/** A slice of a call of many values; empty until `Slices` adds its first value. */
export class CallSlice implements LooseSlice {
  size = 0;
  weight = 0;
  removed = false;
  left = false;

  constructor(
    readonly call: Call,
    readonly from: number,
    public row: Row,
  ) {}
}

/** The slices of a call of many values, from when their first value joins a batch until they are settled. */
export class Slices<S extends LooseSlice> {
  /** Most calls have one slice at a time: a set is made for the second. */
  #only: S | undefined;
  #all: Set<S> | undefined;
  #last: S | undefined;
  #next = 0;

  constructor(readonly make: (from: number, row: Row) => S) {}

  /** Those that are not settled. */
  get open(): Iterable<S> {
    if (this.#all !== undefined) return this.#all;
    return this.#only === undefined ? [] : [this.#only];
  }

  settled(slice: S): void {
    if (this.#only === slice) this.#only = undefined;
    else this.#all?.delete(slice);
  }

  joined(row: Row, count: number, weight: number): void {
    let last = this.#last;
    if (last === undefined || last.removed || last.row !== row || row.slices[row.slices.length - 1] !== last) {
      last = this.make(this.#next, row);
      this.#last = last;
      this.#add(last);
      row.add(last);
    }
    last.size += count;
    last.weight += weight;
    this.#next += count;
  }

  #add(slice: S): void {
    if (this.#all !== undefined) this.#all.add(slice);
    else if (this.#only === undefined) this.#only = slice;
    else {
      this.#all = new Set([this.#only, slice]);
      this.#only = undefined;
    }
  }

  /** The next value joins no batch; returns its number. */
  skip(): number {
    this.#last = undefined;
    return this.#next++;
  }
}
