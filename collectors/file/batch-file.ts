import { StorageError, type Awaitable } from '../../src/index.js';
import { AppendFile } from './append-file.js';
import type { FileBatch } from './contract.js';
import { examine } from './examine.js';
import type { FileStat, OpenFile } from './file-system.js';
import { DEAD, QUARANTINE, RETURNED, batchId, fileName, parseName } from './format.js';
import type { Line } from './line.js';
import { onDisk } from './measure.js';
import { copyItems } from './parts.js';
import { type Reader, readItems } from './reading.js';
import type { Found } from './recovery.js';
import { type Spool, isSame, storageError } from './spool.js';
import { isMissing } from './writing.js';

const NONE: ReadonlySet<number> = new Set();

/** One batch: its file while it takes items, then its attempts, and its end. A file that was found takes none. */
export class BatchFile<Item> implements FileBatch<Item> {
  /** Nothing of the batch is left. */
  gone = false;
  /** The sink is being given the batch, or has been. */
  attempting = false;
  /** The file is delivered, dropped or dead. */
  over = false;
  /** Where the damaged lines are that are in the file still. */
  badLines: ReadonlySet<number> = NONE;
  /** The only way to a file that has no name any more. */
  source: OpenFile | undefined;
  readonly readers = new Set<Reader>();
  readonly #spool: Spool<Item>;
  /** While it takes items. */
  #writer: AppendFile<Item> | undefined;
  #sealing: Promise<void> | undefined;
  /** In the directory. */
  #name = '';
  #size = 0;
  #bytes = 0;
  /** Items that were stored, whatever became of them. */
  #stored = 0;
  /** How many of them are in `quarantine/`. */
  #quarantined = 0;
  /** Lost items that were reported. */
  #told = 0;
  /** Bytes that the spool counts for it. */
  #counted = 0;
  #stat: FileStat | undefined;
  /** Damaged lines are in this file only. */
  #unsafe = false;
  #synced: Promise<void> | undefined;
  #attempts = 0;
  #burial: Promise<void> | undefined;
  /** Which items of the file are the batch's; `undefined` for all. */
  #order: readonly number[] | undefined;
  /** Parts that were split off, and have no file of their own yet. */
  readonly #parts = new Set<BatchFile<Item>>();
  #splits = 0;
  /** For a part without a file: the batch that has its items. */
  #origin: BatchFile<Item> | undefined;
  #writing: Promise<void> | undefined;

  constructor(spool: Spool<Item>, found?: Found) {
    this.#spool = spool;
    if (found === undefined) this.#writer = new AppendFile(spool);
    else {
      this.#name = found.name;
      this.#attempts = parseName(found.name)?.attempts ?? 0;
      this.#size = this.#stored = found.size;
      this.#bytes = found.bytes;
      this.#stat = found.stat;
      this.#counted = onDisk(found.stat);
      this.#unsafe = found.unsafe;
      this.badLines = found.badLines;
    }
  }

  /** A file that is not named by us is its own id. */
  get id(): string {
    const name = this.#writer?.live.name ?? parseName(this.#name);
    return name === undefined ? this.#name.replace(/\.batch$/, '') : batchId(name);
  }

  get filename(): string {
    return this.#writer?.live.path ?? this.#spool.path(this.#name);
  }

  get size(): number {
    return this.#writer?.live.size ?? this.#size;
  }

  get bytes(): number {
    return this.#writer?.live.bytes ?? this.#bytes;
  }

  /** Begun so far; one that failed before the sink saw anything is none. */
  get attempts(): number {
    return this.#attempts;
  }

  /** How many of the stored items are in `quarantine/`, and how many are nowhere. */
  get missing(): { quarantined: number; lost: number } {
    const missing = Math.max(0, this.#stored - this.size);
    const quarantined = Math.min(this.#quarantined, missing);
    return { quarantined, lost: missing - quarantined };
  }

  items(): AsyncIterable<Item> {
    return readItems(this.#spool, this);
  }

  get order(): readonly number[] | undefined {
    return this.#order;
  }

  /** Takes the items at these positions out, as a batch of their own; its file is written before this one goes. */
  split(places: readonly number[]): BatchFile<Item> {
    const order = this.#order ?? Array.from({ length: this.#size }, (_, index) => index);
    const taken = new Set(places);
    const part = new BatchFile<Item>(this.#spool);
    part.#writer = undefined;
    part.#attempts = this.#attempts;
    part.#synced = Promise.resolve();
    part.#order = order.filter((_, place) => taken.has(place));
    part.#size = part.#stored = part.#order.length;
    const name = parseName(this.#name) ?? this.#spool.newName();
    part.#name = fileName({ ...name, nonce: `${name.nonce}.${++this.#splits}` });
    // The positions in `order` are those in the file of the whole.
    part.#origin = this.#origin ?? this;
    part.#origin.#parts.add(part);
    this.#order = order.filter((_, place) => !taken.has(place));
    this.#size -= part.#size;
    this.#stored -= part.#size;
    part.whole().catch(() => undefined); // tried again when it is read
    return part;
  }

  /** Writes the file of a part, or what is left of a file whose parts have theirs. */
  whole(): Promise<void> {
    if (this.#writer !== undefined) return this.seal();
    if (this.#order === undefined || this.over) return Promise.resolve();
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    const origin = this.#origin;
    await Promise.all([...this.#parts].map((part) => part.whole()));
    const order = this.#order;
    if (order === undefined || this.over) return;
    const { bytes, stat } = await copyItems(
      this.#spool,
      (origin ?? this).#name,
      this.#name,
      order,
      (origin ?? this).#bytes,
    );
    this.#order = this.#origin = undefined;
    this.#synced = Promise.resolve();
    this.#bytes = bytes;
    this.#stat = stat;
    this.badLines = NONE;
    this.#spool.bytes += onDisk(stat) - this.#counted;
    this.#counted = onDisk(stat);
    origin?.partWritten(this);
  }

  /** A part has its own file now. */
  private partWritten(part: BatchFile<Item>): void {
    this.#parts.delete(part);
    if (this.over && this.#parts.size === 0) this.#forget();
  }

  /** Hands the batch back to the caller of `clear`: it is not delivered any more. */
  async giveBack(): Promise<void> {
    await this.seal();
    await this.whole();
    this.#name = await this.#spool.moveTo(RETURNED, this.#name);
    this.#spool.measure.aside += this.#counted;
  }

  /** Stores the lines as durably as asked; if it fails, none of them is in the file. */
  append(lines: readonly Line<Item>[]): Awaitable<void> {
    if (this.#writer !== undefined) return this.#writer.append(lines);
    throw new StorageError('the file of this batch takes no more items');
  }

  /** Takes no more items: puts the file on the disk as asked, and closes it. */
  seal(): Promise<void> {
    this.#sealing ??= this.#seal().catch((error: unknown) => {
      this.#sealing = undefined;
      throw error;
    });
    return this.#sealing;
  }

  async #seal(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    const { stat, source } = await writer.seal();
    const { live } = writer;
    this.#name = fileName(live.name);
    this.#size = live.size;
    this.#bytes = this.#counted = live.bytes;
    this.#stored = live.size + live.lost;
    this.#told = live.lost;
    this.#stat = stat;
    this.#synced = Promise.resolve();
    this.#writer = undefined;
    if (this.over) source?.close();
    else this.source = source;
  }

  /** The file stays as it is, for the next process. */
  async release(): Promise<void> {
    await this.#writer?.release();
    this.endAttempt();
    if (this.source !== undefined && !this.over) this.#isGone(new Error('the file had lost its name, and no copy was made'));
    this.source?.close();
    this.source = undefined;
  }

  /** Puts a file that was found on the disk: its process may have died before it came to that. */
  syncFound(): Promise<void> {
    if (this.#spool.config.durability === 'none' || this.#writer !== undefined) return Promise.resolve();
    this.#synced ??= this.#sync().catch((error: unknown) => {
      this.#synced = undefined;
      throw error;
    });
    return this.#synced;
  }

  async #sync(): Promise<void> {
    const file = this.#spool.files.open(this.filename, 'read');
    try {
      await file.sync();
    } finally {
      file.close();
    }
  }

  /** Compares the file to what was stored, and finds out what is left of it if it has changed. */
  async verify(): Promise<void> {
    await this.whole();
    if (this.size === 0) throw this.#isGone(new Error('nothing of the file could be read'));
    if (this.source !== undefined) return;
    const found = this.#spool.files.stat(this.filename);
    if (found === undefined) throw this.#isGone(new Error('the file was moved or removed'));
    const known = (this.#stat ??= found);
    if (isSame(found, known) && found.modified === known.modified && found.bytes === known.bytes) return;
    const { size, bytes, quarantined, badLines, unsafe, stat } = await examine(this.#spool, this.#name, this.#bytes);
    this.#spool.bytes += onDisk(stat) - this.#counted;
    this.#counted = onDisk(stat);
    this.#size = Math.min(size, this.#stored);
    this.#bytes = bytes;
    this.#stat = stat;
    this.#quarantined += quarantined;
    this.badLines = badLines;
    this.#unsafe ||= unsafe;
    this.#tellLost();
    if (size === 0) throw this.#isGone(new Error('the file has no whole line any more'));
  }

  /** Notes in the name that an attempt begins, so that it is counted whatever happens to us. */
  beginAttempt(signal: AbortSignal): void {
    if (this.over || this.#burial !== undefined) throw new StorageError(`batch ${this.id} is over`); // an attempt that has expired
    this.endAttempt();
    signal.addEventListener('abort', () => {
      this.endAttempt();
    });
    const { files } = this.#spool;
    const name = parseName(this.#name);
    try {
      if (name !== undefined && this.source === undefined) {
        const next = fileName({ ...name, attempts: this.#attempts + 1 });
        files.rename(this.filename, this.#spool.path(next));
        this.#name = next;
      }
    } catch (error) {
      if (isMissing(error)) throw this.#isGone(error);
      // Delivery matters more than that the next process counts this attempt.
    }
    this.#attempts++;
    this.attempting = true;
  }

  /** A reader that stops early leaves no descriptor behind. */
  endAttempt(): void {
    for (const reader of this.readers) reader.close();
    this.readers.clear();
  }

  wasRead(good: number, bad: readonly number[], safe: boolean): void {
    if (this.over) return;
    if (bad.length > 0) {
      this.badLines = new Set([...this.badLines, ...bad]);
      if (safe) this.#quarantined += bad.length;
      else this.#unsafe = true;
    }
    this.#size = Math.min(good, this.#stored);
    this.#tellLost();
  }

  /** The batch is delivered, or was dropped. */
  remove(): Awaitable<void> {
    if (this.over) return;
    this.over = true;
    this.endAttempt();
    if (this.#parts.size > 0) return this.#removeAfterParts();
    if (this.#unsafe) return this.#setAside();
    this.#forget();
  }

  /** A part that cannot be written yet keeps the file that has its items. */
  async #removeAfterParts(): Promise<void> {
    await Promise.allSettled([...this.#parts].map((part) => part.whole()));
  }

  #forget(): void {
    const { filename } = this;
    const name = this.#writer === undefined ? this.#name : fileName(this.#writer.live.name);
    const counted = this.#writer?.live.bytes ?? this.#counted;
    this.#writer?.drop();
    this.source?.close();
    try {
      if (this.source === undefined) this.#spool.remove(name);
    } catch (error) {
      if (!isMissing(error)) {
        this.over = false;
        throw storageError(`the file of batch ${this.id} (${filename}) was not removed`, error);
      }
    }
    this.source = undefined;
    this.#spool.free(counted);
  }

  /** There was no room to copy the damaged lines: the file itself is kept. */
  async #setAside(): Promise<void> {
    try {
      const name = await this.#spool.moveTo(QUARANTINE, this.#name);
      const lines = Math.max(0, this.#stored - this.size) - this.#quarantined;
      this.#quarantined += Math.max(0, lines);
      const filename = this.#spool.path(name);
      this.#spool.measure.aside += this.#counted;
      const { id, bytes } = this;
      this.#spool.tell(
        'quarantined',
        { id, lines, bytes, filename },
        `a file with damaged lines was moved to ${filename}`,
      );
    } catch {
      this.#unsafe = false;
      this.#forget();
    }
    this.#tellLost();
  }

  /** The batch is given up: its file moves to `dead/`, untouched. */
  bury(error: unknown): Promise<void> {
    // One that took too long may still be under way when the next attempt is made.
    this.#burial ??= this.#bury(error).finally(() => {
      this.#burial = undefined;
    });
    return this.#burial;
  }

  async #bury(error: unknown): Promise<void> {
    if (this.over) return;
    await this.seal();
    await this.whole();
    if (this.gone) {
      await this.remove();
      return;
    }
    this.endAttempt();
    try {
      this.#name = await this.#spool.moveTo(DEAD, this.#name);
    } catch (problem) {
      if (!isMissing(problem)) throw storageError(`batch ${this.id} could not be moved to dead/`, problem);
      this.#isGone(problem);
      await this.remove();
      return;
    }
    this.over = true;
    this.#spool.measure.aside += this.#counted;
    this.#spool.free(0);
    const { id, size, filename } = this;
    this.#spool.tell('dead', { id, size, filename, error }, 'a batch was given up, and is in dead/');
  }

  #isGone(error: unknown): Error {
    if (!this.gone) {
      this.gone = true;
      this.#size = 0;
      this.#tellLost(error);
    }
    return new StorageError(`nothing is left of batch ${this.id}`, error);
  }

  #tellLost(error: unknown = new Error('the file was damaged')): void {
    const { lost } = this.missing;
    const items = this.#unsafe ? 0 : lost - this.#told;
    if (items <= 0) return;
    this.#told = lost;
    const { id } = this;
    this.#spool.tell('lost', { id, items, error }, `${items} stored items of batch ${id} are lost`);
  }
}
