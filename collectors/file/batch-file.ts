import { StorageError, type Awaitable } from '../../src/index.js';
import { AppendFile } from './append-file.js';
import type { FileBatch } from './contract.js';
import { batchId, fileName, parseName } from './format.js';
import type { Line } from './line.js';
import { readItems } from './reading.js';
import type { Found } from './recovery.js';
import { type Spool, storageError } from './spool.js';
import { isMissing } from './writing.js';

/** One batch: its file while it takes items, then its attempts, and its end. A file of an earlier life takes none. */
export class BatchFile<Item> implements FileBatch<Item> {
  /** Where the lines are that `items()` found to be damaged. */
  readonly badLines = new Set<number>();
  /** Somebody else has removed the file, and there is no descriptor left to rescue it from. */
  gone = false;
  /** The sink is being given the batch, or has been. */
  attempting = false;
  /** The file is delivered, dropped or dead. */
  over = false;
  readonly #spool: Spool<Item>;
  readonly #content: AppendFile<Item> | Found;
  /** In the directory, `dead/` included; before the first attempt it is for the file that takes items to say. */
  #path: string | undefined;
  #attempts: number;
  #burial: Promise<void> | undefined;

  constructor(spool: Spool<Item>, found?: Found) {
    this.#spool = spool;
    this.#content = found ?? new AppendFile(spool);
    this.#path = found?.name;
    this.#attempts = (found && parseName(found.name)?.attempts) ?? 0;
  }

  /** A file that is not named by us is its own id. */
  get id(): string {
    const name = this.#content instanceof AppendFile ? this.#content.name : parseName(this.#content.name);
    return name === undefined ? (this.#path ?? '').replace(/\.batch$/, '') : batchId(name);
  }

  get filename(): string {
    return this.#spool.path(this.#name);
  }

  get size(): number {
    return this.#content.size;
  }

  /** Items that were stored, and are not there any more. */
  get lost(): number {
    return this.#content instanceof AppendFile ? this.#content.lost : 0;
  }

  get bytes(): number {
    return this.#content.bytes;
  }

  /** Begun so far; what failed before the sink saw anything is none. */
  get attempts(): number {
    return this.#attempts;
  }

  items(): AsyncIterable<Item> {
    return readItems(this.#spool, this);
  }

  /** Stores the lines as durably as asked; if it fails, none of them is in the file. */
  append(lines: readonly Line<Item>[]): Awaitable<void> {
    if (this.#content instanceof AppendFile) return this.#content.append(lines);
    throw new StorageError('a file of an earlier life takes no items');
  }

  /** Nothing is appended any more, and everything is on the disk as asked; `false` if a rescue found nothing of it. */
  async seal(): Promise<boolean> {
    if (!(this.#content instanceof AppendFile)) return true;
    await this.#content.seal();
    if (this.size > 0) return true;
    this.gone = true; // which the rescue has told
    this.remove();
    return false;
  }

  async release(): Promise<void> {
    if (this.#content instanceof AppendFile) await this.#content.release();
  }

  /** Notes in the name that an attempt begins, so that it is counted whatever happens to us. */
  beginAttempt(): void {
    if (this.over || this.#burial !== undefined) throw new StorageError(`batch ${this.id} is over`); // an attempt that has expired
    const { files } = this.#spool;
    const name = parseName(this.#name);
    // A bare name has no place for it, but the file has to be there.
    const next = name === undefined ? this.#name : fileName({ ...name, attempts: this.#attempts + 1 });
    try {
      if (name === undefined) files.open(this.filename, 'read').close();
      else files.rename(this.filename, this.#spool.path(next));
      this.#path = next;
    } catch (error) {
      if (isMissing(error)) throw this.#lost(error);
      // Delivery matters more than that the next life counts this one.
    }
    this.#attempts++;
    this.attempting = true;
  }

  /** The batch is delivered, or was dropped. */
  remove(): void {
    if (this.over) return;
    if (this.#content instanceof AppendFile) this.#content.drop();
    try {
      this.#spool.remove(this.#name);
    } catch (error) {
      if (!isMissing(error)) throw storageError(`the file of batch ${this.id} was not removed`, error);
    }
    this.#isOver(this.bytes);
  }

  /** The batch is given up: its file moves to `dead/`, untouched. */
  bury(error: unknown): Promise<void> {
    // One that took too long may still be at it when the next attempt is made.
    this.#burial ??= this.#bury(error).finally(() => {
      this.#burial = undefined;
    });
    return this.#burial;
  }

  async #bury(error: unknown): Promise<void> {
    if (this.over) return;
    if (!(await this.seal())) return;
    if (!this.gone) {
      try {
        this.#path = await this.#spool.bury(this.#name);
        this.#spool.aside += this.bytes;
      } catch (problem) {
        if (!isMissing(problem)) throw storageError(`batch ${this.id} could not be moved to dead/`, problem);
        this.#lost(problem);
      }
    }
    this.#isOver(this.gone ? this.bytes : 0);
    if (this.gone) return;
    const { id, size, filename } = this;
    this.#spool.tell('dead', { id, size, filename, error }, 'a batch was given up, and is in dead/');
  }

  get #name(): string {
    return this.#path ?? (this.#content instanceof AppendFile ? fileName(this.#content.name) : this.#content.name);
  }

  #lost(error: unknown): Error {
    if (!this.gone) {
      const { id, size } = this;
      this.gone = true;
      this.#spool.tell('lost', { id, items: size, error }, `the file of batch ${id} is gone`);
    }
    return new StorageError(`the file of batch ${this.id} is gone`, error);
  }

  #isOver(bytes: number): void {
    this.over = true;
    this.#spool.free(bytes);
  }
}
