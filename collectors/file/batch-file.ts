import { StorageError, type Awaitable } from '../../src/index.js';
import { AppendFile } from './append-file.js';
import type { FileBatch } from './contract.js';
import { DEAD, QUARANTINE, batchId, fileName, parseName, partNonce } from './format.js';
import type { Line } from './line.js';
import { onDisk } from './measure.js';
import { type Reader, readItems } from './reading.js';
import type { Found } from './recovery.js';
import { Remains } from './remains.js';
import { NOTHING, SealedFile } from './sealed-file.js';
import { Share } from './share.js';
import { type Spool, storageError } from './spool.js';
import { isMissing } from './writing.js';

/** One batch: its file while it takes items, then its attempts, and its end. A file that was found takes none. */
export class BatchFile<Item> implements FileBatch<Item> {
  /** The sink is being given the batch, or has been. */
  attempting = false;
  /** The file is delivered, dropped or dead. */
  over = false;
  /** Begun so far; one that failed before the sink saw anything is none. */
  attempts = 0;
  readonly share: Share<Item>;
  readonly #spool: Spool<Item>;
  /** While it takes items. */
  #writer: AppendFile<Item> | undefined;
  #remains: Remains<Item>;
  #sealing: Promise<void> | undefined;
  #readers: Set<Reader> | undefined;
  #moving: Promise<void> | undefined;
  #splits: number;

  constructor(spool: Spool<Item>, found?: Found) {
    this.#spool = spool;
    this.share = new Share(spool, this);
    if (found === undefined) this.#writer = new AppendFile(spool);
    else this.attempts = parseName(found.name)?.attempts ?? 0;
    // The numbers of earlier processes' parts are in use: an attempt splits off two at most.
    this.#splits = Math.max(2 * this.attempts, found?.parts ?? 0);
    const contents = found === undefined ? NOTHING : { ...found, counted: onDisk(found.stat), synced: false };
    this.#remains = new Remains(spool, new SealedFile(spool, contents), found?.size ?? 0);
  }

  get id(): string {
    return this.#writer === undefined ? this.#remains.id : batchId(this.#writer.live.name);
  }

  /** This, and `file`, once the batch takes no more items. */
  get remains(): Remains<Item> {
    return this.#remains;
  }

  get file(): SealedFile<Item> {
    return this.#remains.file;
  }

  get readers(): Set<Reader> {
    return (this.#readers ??= new Set()); // most batches only wait
  }

  get filename(): string {
    return this.#writer?.live.path ?? this.file.path;
  }

  get size(): number {
    return this.#writer?.live.size ?? this.#remains.size;
  }

  get bytes(): number {
    return this.#writer?.live.bytes ?? this.file.bytes;
  }

  items(): AsyncIterable<Item> {
    return readItems(this.#spool, this);
  }

  /** Takes the items at these positions out, as a batch of their own; its file is written before this one goes. */
  split(places: readonly number[]): BatchFile<Item> {
    const part = new BatchFile<Item>(this.#spool);
    part.#writer = undefined;
    part.attempts = this.attempts;
    const whole = parseName(this.file.name) ?? this.#spool.newName();
    const name = fileName({ ...whole, nonce: partNonce(whole.nonce, ++this.#splits) });
    const size = this.share.give(part.share, places, this.#remains.size);
    part.#remains = this.#remains.give(places.length, size, new SealedFile(this.#spool, { ...NOTHING, name }));
    this.whole().catch(() => undefined); // and the part before that; tried again when either is read
    return part;
  }

  /** Resolves when the file has all the batch's items, and no others. */
  whole(): Promise<void> {
    return this.#writer === undefined ? this.share.write() : this.seal();
  }

  /** Stores the lines as durably as asked; if it fails, none of them is in the file. */
  append(lines: readonly Line<Item>[]): Awaitable<void> {
    if (this.#writer !== undefined) return this.#writer.append(lines);
    throw new StorageError('the file of this batch takes no more items');
  }

  /** Takes no more items: puts the file on the disk as asked, and closes it. */
  seal(): Promise<void> {
    this.#sealing ??= this.#seal().finally(() => {
      this.#sealing = undefined;
    });
    return this.#sealing;
  }

  async #seal(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    const { stat, source, doubtful } = await writer.seal();
    const { name, size, lost, bytes } = writer.live;
    const contents = { name: fileName(name), bytes, counted: bytes, stat, source, synced: !doubtful, doubtful };
    this.#remains = new Remains(this.#spool, new SealedFile(this.#spool, contents), size, lost);
    this.#writer = undefined;
    if (this.over) this.file.close();
  }

  /** The file stays, for the next process. */
  async release(): Promise<void> {
    const writer = this.#writer;
    const { id, size } = this;
    try {
      if (writer === undefined || writer.live.bytes > 0) await this.whole();
    } catch (error) {
      if (!this.remains.isEmpty) this.#spool.report('unsynced', { id, size, error }, `${id} may not be on the disk`);
    }
    await writer?.release();
    this.endAttempt();
    if (this.file.source !== undefined && !this.over) {
      this.remains.markEmpty(new Error('the file had lost its name, and no copy was made'));
    }
    this.file.close();
  }

  /** Puts a sealed file on the disk, if it is not: it was found, or its sync has failed. */
  sync(): Promise<void> {
    return this.#writer === undefined ? this.file.sync() : Promise.resolve();
  }

  /** Compares the file to what was stored, and finds out what is left of it if it has changed. */
  async verify(): Promise<void> {
    await this.whole();
    await this.#remains.verify();
  }

  /** Notes in the name that an attempt begins, so that it is counted whatever happens to us. */
  beginAttempt(signal: AbortSignal): void {
    if (this.over || this.#moving !== undefined) throw new StorageError(`batch ${this.id} is over`); // an attempt that has expired
    this.endAttempt();
    signal.addEventListener('abort', () => {
      this.endAttempt();
    });
    try {
      this.file.note(this.attempts + 1);
    } catch (error) {
      if (isMissing(error)) throw this.#remains.markEmpty(error);
      // Delivery matters more than that the next process counts this attempt.
    }
    this.attempts++;
    this.attempting = true;
  }

  /** A reader that stops early leaves no descriptor behind. */
  endAttempt(): void {
    for (const reader of this.#readers ?? []) reader.close();
    this.#readers = undefined;
  }

  wasRead(good: number | undefined, bad: readonly number[], safe: boolean): void {
    if (!this.over) this.#remains.wasRead(good, bad, safe);
  }

  /** The batch is delivered, or was dropped. */
  remove(): Awaitable<void> {
    if (this.over) return;
    this.over = true;
    this.endAttempt();
    if (this.share.isNeeded) {
      this.#remains.giveUpUnsafe(); // the file goes with its last part
      return this.share.writeParts();
    }
    if (this.file.unsafe) return this.#setAside();
    this.forget();
    return this.share.stopped();
  }

  /** Removes the file, whatever state it is in. */
  forget(): void {
    const file = this.#writer ?? this.file;
    try {
      file.remove();
    } catch (error) {
      if (!isMissing(error)) {
        this.over = false;
        throw storageError(`the file of batch ${this.id} (${this.filename}) was not removed`, error);
      }
    }
    file.free();
    this.share.leaveWhole();
  }

  /** No room to copy the damaged lines: the file itself is kept. */
  async #setAside(): Promise<void> {
    try {
      await this.file.moveTo(QUARANTINE);
    } catch {
      this.#remains.giveUpUnsafe(); // before the removal, which may fail
      this.forget();
      return;
    }
    const { id, bytes, filename } = this;
    const lines = this.#remains.setAside();
    this.#spool.report('quarantined', { id, lines, bytes, filename }, `damaged lines were moved to ${filename}`);
  }

  /** Hands the batch back to the caller of `clear`: it is not delivered any more. */
  async giveBack(): Promise<void> {
    await this.whole();
    await this.file.giveBack();
  }

  /** The batch is given up: its file moves to `dead/`, untouched. */
  moveToDead(error: unknown): Promise<void> {
    // One that took too long may still be under way when the next attempt is made.
    this.#moving ??= this.#moveToDead(error).finally(() => {
      this.#moving = undefined;
    });
    return this.#moving;
  }

  async #moveToDead(error: unknown): Promise<void> {
    if (this.over) return;
    await this.whole();
    this.endAttempt();
    try {
      if (!this.#remains.isEmpty) await this.file.moveTo(DEAD);
    } catch (problem) {
      if (!isMissing(problem)) throw storageError(`batch ${this.id} could not be moved to dead/`, problem);
      this.#remains.markEmpty(problem);
    }
    if (this.#remains.isEmpty) return this.remove();
    this.over = true;
    this.#spool.free(0);
    this.#remains.giveUpUnsafe(); // damaged lines without a copy are never delivered from dead/
    const { id, size, filename } = this;
    this.#spool.report('dead', { id, size, filename, error }, 'a batch was given up, and is in dead/');
  }
}
