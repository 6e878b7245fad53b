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
  gone = false;
  left = false;

  constructor(
    readonly call: Call,
    readonly from: number,
    public row: Row,
  ) {}
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
      row.add(last);
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
