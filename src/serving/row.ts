/**
 * Whose value is whose.
 *
 * A call numbers its values from 0; a batch is a row of values. A slice is a part of both: values `[from, from + size)`
 * of one call, next to each other in one batch. So what is kept is per call and batch, never per value; and a slice whose
 * caller has gone can be taken out of the row without moving what the others own.
 */
export interface Slice {
  readonly call: Call;
  readonly from: number;
  readonly size: number;
  readonly weight: number;
  /** It is not in the batch's row any more. */
  readonly gone: boolean;
}

/** One that can leave its batch before the others do. */
export interface LooseSlice extends Slice {
  size: number;
  weight: number;
  batch: Row;
  gone: boolean;
}

/** Someone who waits for the results of some values. */
export interface Call {
  /** Settled: nobody waits any more. */
  over: boolean;
  /** It was its caller who gave up. */
  aborted: boolean;
  /** Whether further values of it are of any use. */
  readonly wanted: boolean;
  /** Undoes what watches over the call: a timer, a listener, a source that is read. */
  release: (() => void) | undefined;
  /** Those that are in batches, and not settled. */
  slices(): Iterable<LooseSlice>;
  /** So many values of it are accepted. */
  expect(count: number): void;
  /** All its values are accepted; or no more are, for a reason that it is told once the earlier ones are settled. */
  end(reason?: { error: unknown }): void;
  /** The value being added has joined this batch. */
  joined(batch: Row, weight: number): void;
  /** Its results are `results[at]` and following; `false` if one of them was an error. */
  deliver(slice: Slice, results: readonly unknown[], at: number): boolean;
  /** A slice of it has failed, or the whole call. */
  fail(error: unknown, slice?: Slice): void;
  /** A hook was used for a slice of it. */
  tell?(slice: Slice, hook: string, payload: unknown): void;
}

/** No more room than this is made in advance. */
const MOST_EXPECTED = 1024;

/** What a batch is made of: the values, and the slices that they belong to, in the same order. */
export class Row {
  /** Values whose slices are gone, but which are still in the row. */
  gone = 0;
  /** The handler has them: nothing can be taken out any more. */
  executing = false;
  /** All its callers know. */
  settled = false;
  /** These may have room behind what is in them: lists that grow from nothing are copied time and again. */
  #values: unknown[];
  #slices: Slice[];
  #valueCount = 0;
  #sliceCount = 0;

  /** Makes room for so many. */
  constructor(values: number, slices: number) {
    this.#values = new Array<unknown>(Math.min(values, MOST_EXPECTED));
    this.#slices = new Array<Slice>(Math.min(slices, MOST_EXPECTED));
  }

  get values(): unknown[] {
    this.#values.length = this.#valueCount;
    return this.#values;
  }

  get slices(): readonly Slice[] {
    this.#slices.length = this.#sliceCount;
    return this.#slices;
  }

  get lastSlice(): Slice | undefined {
    return this.#slices[this.#sliceCount - 1];
  }

  /** How many values are wanted. */
  get size(): number {
    return this.#valueCount - this.gone;
  }

  /** Of the last slice, or of one that is added next. */
  addValue(value: unknown): void {
    this.#values[this.#valueCount++] = value;
  }

  addSlice(slice: Slice): void {
    this.#slices[this.#sliceCount++] = slice;
  }

  /** Takes the slice out; its values leave at once only if they are many, so that taking out many slices stays cheap. */
  take(slice: LooseSlice): void {
    slice.gone = true;
    this.gone += slice.size;
    if (this.gone * 2 > this.#valueCount) this.compact();
  }

  /**
   * Its callers know. What is young and hangs on what is old and done with would be kept until the old is collected, and
   * so on from batch to batch: in a busy program two thirds of the time went into moving that about.
   */
  clear(): void {
    this.#keep([], []);
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
        for (let i = at; i < end; i++) values.push(this.#values[i]);
      }
      at = end;
    }
    this.#keep(values, slices);
  }

  #keep(values: unknown[], slices: Slice[]): void {
    this.#values = values;
    this.#slices = slices;
    this.#valueCount = values.length;
    this.#sliceCount = slices.length;
    this.gone = 0;
  }
}

/** The first slice of its kind, before values have joined it. */
export function sliceOf(call: Call, from: number, batch: Row): LooseSlice {
  return { call, from, batch, size: 0, weight: 0, gone: false };
}

/** The slices of a call of many values, from when a value of theirs joins a batch until they are settled. */
export class Slices<S extends LooseSlice> {
  readonly open = new Set<S>();
  #last: S | undefined;
  #next = 0;

  constructor(readonly make: (from: number, batch: Row) => S) {}

  joined(batch: Row, weight: number): void {
    let last = this.#last;
    if (last === undefined || last.gone || last.batch !== batch || batch.lastSlice !== last) {
      last = this.make(this.#next, batch);
      this.#last = last;
      this.open.add(last);
      batch.addSlice(last);
    }
    last.size++;
    last.weight += weight;
    this.#next++;
  }
}

/** An error in a slot, also one of another realm (as under test frameworks). */
export function isError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return value instanceof Error || ('stack' in value && Object.prototype.toString.call(value) === '[object Error]');
  } catch {
    return false; // a proxy that lets nobody look
  }
}
