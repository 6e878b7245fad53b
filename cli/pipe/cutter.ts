/** Whole records, as slices of what was read, the separators included. */
export interface Piece {
  readonly buffers: readonly Buffer[];
  readonly records: number;
  readonly bytes: number;
  /** It completes its batch: by the number of records or by their bytes. */
  readonly full: 'size' | 'weight' | undefined;
}

/** The content of a batch so far. */
export interface Filled {
  readonly records: number;
  readonly bytes: number;
}

export interface CutterOptions {
  /** The byte that ends a record. */
  readonly separator: number;
  /** Records and bytes in a batch, at most; a longer record goes alone. */
  readonly size: number;
  readonly bytes: number;
  /** The content of the open batch now: it may have been cut by time since the last piece. */
  readonly filled: () => Filled;
  readonly emit: (piece: Piece) => void;
}

const EMPTY: Filled = { records: 0, bytes: 0 };

/** Cuts what is read into pieces that fit into batches, without an object per record. */
export class Cutter {
  readonly #options: CutterOptions;
  /** The beginning of a record whose end is not read yet. */
  #tail: Buffer[] = [];
  #tailBytes = 0;

  constructor(options: CutterOptions) {
    this.#options = options;
  }

  /** Bytes of the record that is not complete. */
  get incomplete(): number {
    return this.#tailBytes;
  }

  feed(chunk: Buffer): void {
    const { separator, size, bytes: limit } = this.#options;
    let filled = this.#options.filled();
    let from = 0;
    let end = 0; // of the last whole record
    let records = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (chunk[at] !== separator) continue;
      if (filled.bytes + this.#tailBytes + at + 1 - from > limit && filled.records + records > 0) {
        this.#emit(chunk, from, end, records, 'weight');
        filled = EMPTY;
        from = end;
        records = 0;
      }
      end = at + 1;
      records++;
      const full = filled.records + records >= size ? 'size' : undefined;
      const heavy = filled.bytes + this.#tailBytes + end - from >= limit ? 'weight' : undefined;
      if (full === undefined && heavy === undefined) continue;
      this.#emit(chunk, from, end, records, full ?? heavy);
      filled = EMPTY;
      from = end;
      records = 0;
    }
    if (records > 0) this.#emit(chunk, from, end, records, undefined);
    if (end === chunk.length) return;
    this.#tail.push(chunk.subarray(end));
    this.#tailBytes += chunk.length - end;
  }

  /** The input has ended: what is left is a record without separator. */
  finish(): void {
    if (this.#tailBytes === 0) return;
    const { bytes: limit, filled, size } = this.#options;
    const before = filled();
    if (before.records > 0 && before.bytes + this.#tailBytes > limit)
      this.#options.emit({ ...NOTHING, full: 'weight' });
    const { records } = filled();
    const [buffers, bytes] = this.#takeTail();
    this.#options.emit({ buffers, bytes, records: 1, full: records + 1 >= size ? 'size' : undefined });
  }

  #emit(chunk: Buffer, from: number, end: number, records: number, full: Piece['full']): void {
    if (records === 0) {
      this.#options.emit({ ...NOTHING, full });
      return;
    }
    const [tail, tailBytes] = this.#takeTail();
    const buffers = [...tail, chunk.subarray(from, end)];
    this.#options.emit({ buffers, records, bytes: tailBytes + end - from, full });
  }

  #takeTail(): [Buffer[], number] {
    const taken: [Buffer[], number] = [this.#tail, this.#tailBytes];
    this.#tail = [];
    this.#tailBytes = 0;
    return taken;
  }
}

/** Only ends its batch. */
const NOTHING = { buffers: [], records: 0, bytes: 0 };
