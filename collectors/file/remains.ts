import { StorageError } from '../../src/index.js';
import { fileId } from './format.js';
import type { SealedFile } from './sealed-file.js';
import type { Spool } from './spool.js';

/** The remaining items of a batch that takes no more: in its file, in `quarantine/`, or nowhere. */
export class Remains<Item> {
  /** Nothing of the batch is left. */
  isEmpty = false;
  readonly file: SealedFile<Item>;
  /** The batch's: in another folder, a file may get another name. */
  readonly id: string;
  readonly #spool: Spool<Item>;
  /** Items in the file. */
  #size: number;
  /** Items that were stored, whatever became of them. */
  #stored: number;
  /** How many of them are in `quarantine/`. */
  #quarantined = 0;
  #verifying: Promise<void> | undefined;
  /** Lost items that were reported. */
  #reported: number;

  /** `lost` were reported already. */
  constructor(spool: Spool<Item>, file: SealedFile<Item>, size: number, lost = 0) {
    this.#spool = spool;
    this.file = file;
    this.id = fileId(file.name);
    this.#size = size;
    this.#stored = size + lost;
    this.#reported = lost;
  }

  get size(): number {
    return this.#size;
  }

  /** How many of the stored items are in `quarantine/`, and how many are nowhere. */
  get missing(): { quarantined: number; lost: number } {
    const missing = Math.max(0, this.#stored - this.#size);
    const quarantined = Math.min(this.#quarantined, missing);
    return { quarantined, lost: missing - quarantined };
  }

  /** So many items are another batch's from now on, in a file of its own; of those that were stored some may be missing. */
  give(stored: number, size: number, file: SealedFile<Item>): Remains<Item> {
    const part = new Remains(this.#spool, file, size);
    this.#size -= size;
    this.#stored -= stored;
    part.#stored = stored;
    part.#quarantined = Math.max(0, this.#quarantined - (this.#stored - this.#size));
    this.#quarantined -= part.#quarantined;
    if (this.file.unsafe) part.#quarantined = stored - size; // the lines are in this file, which is kept
    part.#reported = Math.min(this.#reported, part.missing.lost);
    this.#reported -= part.#reported;
    return part;
  }

  /**
   * Compares the file to what was stored, and finds out what is left of it if it has changed. Calls share the look that is
   * under way: that of an attempt that has expired would mend a file that the next attempt has renamed.
   */
  verify(): Promise<void> {
    this.#verifying ??= this.#verify().finally(() => {
      this.#verifying = undefined;
    });
    return this.#verifying;
  }

  async #verify(): Promise<void> {
    if (this.#size === 0) throw this.markEmpty(new Error('nothing of the file could be read'));
    const seen = this.file.look();
    if (seen === 'missing') throw this.markEmpty(new Error('the file was moved or removed'));
    if (seen === 'same') return;
    const { size, quarantined } = await this.file.examine();
    this.#size = Math.min(size, this.#stored);
    this.#quarantined += quarantined;
    this.#reportLost();
    if (size === 0) throw this.markEmpty(new Error('the file has no whole line any more'));
  }

  /** The findings of a reader; how many items are good, if it came to the end of the file. */
  wasRead(good: number | undefined, bad: readonly number[], safe: boolean): void {
    if (bad.length > 0) {
      this.file.badLines = new Set([...this.file.badLines, ...bad]);
      if (safe) this.#quarantined += bad.length;
      else this.file.unsafe = true;
    }
    if (good === undefined) return;
    this.#size = Math.min(good, this.#stored);
    this.#reportLost();
  }

  /** The file was moved to `quarantine/`, with every line that is not in it as an item; answers how many these are. */
  setAside(): number {
    const { lost } = this.missing;
    this.#quarantined += lost;
    return lost;
  }

  /** Notes that nothing is left, and returns the error for it. */
  markEmpty(cause: unknown): StorageError {
    if (!this.isEmpty) {
      this.isEmpty = true;
      this.#size = 0;
      this.#reportLost(cause);
    }
    return new StorageError(`nothing is left of batch ${this.id}`, cause);
  }

  #reportLost(error: unknown = new Error('the file was damaged')): void {
    const items = this.missing.lost - this.#reported;
    // Lines that are in the file only are not lost yet.
    if (this.file.unsafe || items <= 0) return;
    this.#reported += items;
    const id = this.id;
    this.#spool.report('lost', { id, items, error }, `${items} stored items of batch ${id} are lost`);
  }

  /** Lines that no copy was made of go with the file. */
  giveUpUnsafe(): void {
    this.file.unsafe = false;
    this.#reportLost();
  }
}
