import { copyItems } from './parts.js';
import type { Remains } from './remains.js';
import type { Spool } from './spool.js';

/** The batch of a share. */
interface Owner<Item> {
  readonly remains: Remains<Item>;
  /** The file is delivered, dropped or dead. */
  readonly over: boolean;
  /** Removes a file that is of no use any more. */
  forget(): void;
}

/**
 * Which items of a file are a batch's. A part that is split off has no file of its own at first; it is written before that
 * of the whole is changed or goes.
 */
export class Share<Item> {
  /** Positions in the file; `undefined` for all. */
  order: readonly number[] | undefined;
  /** The bad lines of the file that `order` does not count. */
  #known: ReadonlySet<number> = new Set();
  readonly #spool: Spool<Item>;
  readonly #owner: Owner<Item>;
  /** Parts that were split off, and have no file of their own yet. */
  #parts: Set<Share<Item>> | undefined;
  /** For a part without a file: the share that has its items. */
  #origin: Share<Item> | undefined;
  #writing: Promise<void> | undefined;
  /** The file was written, and its name is not on the disk yet. */
  #unsynced = false;

  constructor(spool: Spool<Item>, owner: Owner<Item>) {
    this.#spool = spool;
    this.#owner = owner;
  }

  /** Parts need the file. */
  get isNeeded(): boolean {
    return this.#parts !== undefined && this.#parts.size > 0;
  }

  /** Gives the items at these places to a part, of `size`; answers how many. */
  give(part: Share<Item>, places: readonly number[], size: number): number {
    if (this.order === undefined) this.#known = this.#owner.remains.file.badLines;
    part.#known = this.#known;
    const order = this.order ?? Array.from({ length: size }, (_, index) => index);
    const taken = new Set(places);
    part.order = order.filter((_, place) => taken.has(place));
    this.order = order.filter((_, place) => !taken.has(place));
    // The positions in `order` are those in the file of the whole.
    const origin = this.#origin ?? this;
    part.#origin = origin;
    (origin.#parts ??= new Set()).add(part);
    return part.order.length;
  }

  /** Writes the file of a part, or what is left of a file whose parts have theirs. */
  write(): Promise<void> {
    const { over, remains } = this.#owner;
    const isWritten = this.order === undefined && !this.#unsynced;
    if (isWritten || over || remains.isEmpty) return Promise.resolve();
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** Resolves when no copy is being written: one that is not wanted any more still has two descriptors. */
  stopped(): Promise<void> | undefined {
    return this.#writing?.catch(() => undefined);
  }

  /** Never rejects: a part that cannot be written yet keeps the file that has its items. */
  async writeParts(): Promise<void> {
    await Promise.allSettled([...(this.#parts ?? [])].map((part) => part.write()));
  }

  async #write(): Promise<void> {
    // Those as well that are split off meanwhile: their items are in this file only.
    for (const part of this.#parts ?? []) await part.write();
    if (this.order !== undefined && !this.#owner.over) await this.#copy(this.order);
    if (this.#unsynced) await this.#spool.sync();
    this.#unsynced = false;
    this.leaveWhole();
  }

  async #copy(order: readonly number[]): Promise<void> {
    const { file } = (this.#origin ?? this).#owner.remains;
    const { remains } = this.#owner;
    const own = remains.file;
    try {
      await copyItems(
        ...([this.#spool, file.name, own.name, order, file.bytes, this.#known] as const),
        () => !this.#owner.over,
        (copy) => {
          own.written(copy);
          this.order = undefined;
          this.#unsynced = true;
        },
      );
    } catch (error) {
      throw file.look() === 'missing' ? remains.markEmpty(error) : error;
    }
  }

  /** The part has its own file, or is over: it needs that of the whole no more. */
  leaveWhole(): void {
    const origin = this.#origin;
    this.#origin = undefined;
    if (origin === undefined) return;
    origin.#parts?.delete(this);
    if (origin.#owner.over && !origin.isNeeded) origin.#owner.forget();
  }
}
