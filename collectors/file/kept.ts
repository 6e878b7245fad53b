/** Bytes, of all files of a batcher; beyond it nothing more is kept, and a repair has to read it back. */
const MOST_KEPT = 32 * 1024 * 1024;

/** Bytes; the first piece of memory of a file. Each further one is twice as large, up to the second number. */
const FIRST_CHUNK = 4 * 1024;
const LARGEST_CHUNK = 256 * 1024;

/** How much is kept for all files of a batcher together. */
export interface KeptTotal {
  bytes: number;
}

/**
 * The bytes that are acknowledged and not synced: a sync that fails may lose them, so that the descriptor reads nothing, or
 * zeros, where they were. Copied into few large pieces: a piece for each add would take 4 KB each.
 */
export class Kept {
  readonly #total: KeptTotal;
  #chunks: { bytes: Buffer; used: number }[] = [];
  /** Where the first byte is in the file. */
  #from = 0;
  #bytes = 0;
  #complete = true;
  /** How many pieces the sync that runs covers. */
  #marked = 0;

  constructor(total: KeptTotal) {
    this.#total = total;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Everything from here on is kept; `undefined` if there was too much of it. */
  get from(): number | undefined {
    return this.#complete ? this.#from : undefined;
  }

  add(bytes: Buffer): void {
    if (!this.#complete) return;
    if (this.#total.bytes + bytes.length > MOST_KEPT) {
      this.clear();
      this.#complete = false;
      return;
    }
    this.#bytes += bytes.length;
    this.#total.bytes += bytes.length;
    for (let at = 0; at < bytes.length;) {
      let last = this.#chunks.at(-1);
      if (last === undefined || last.used === last.bytes.length) {
        const length = Math.min((last?.bytes.length ?? FIRST_CHUNK / 2) * 2, LARGEST_CHUNK);
        last = { bytes: Buffer.allocUnsafeSlow(length), used: 0 };
        this.#chunks.push(last);
      }
      const count = bytes.copy(last.bytes, last.used, at);
      last.used += count;
      at += count;
    }
  }

  /** A sync begins, of everything that was added before. */
  mark(): void {
    this.#marked = this.#chunks.length;
    // The next piece begins with a whole line.
    const last = this.#chunks.at(-1);
    if (last !== undefined) last.bytes = last.bytes.subarray(0, last.used);
  }

  /** The sync has succeeded: everything below `position` is safe, of `end` bytes in all. */
  synced(position: number, end: number): void {
    if (!this.#complete) {
      // Bytes added meanwhile are not kept.
      if (position < end) return;
      this.#complete = true;
    }
    for (const { used } of this.#chunks.splice(0, this.#marked)) {
      this.#bytes -= used;
      this.#total.bytes -= used;
    }
    this.#marked = 0;
    this.#from = position;
  }

  clear(): void {
    this.#total.bytes -= this.#bytes;
    this.#bytes = 0;
    this.#chunks = [];
    this.#marked = 0;
  }

  *[Symbol.iterator](): IterableIterator<Buffer> {
    for (const { bytes, used } of this.#chunks) yield bytes.subarray(0, used);
  }
}
