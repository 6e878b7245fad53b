import { StorageError, type Awaitable } from '../../src/index.js';
import type { FileBatch } from './contract.js';
import type { OpenFile } from './file-system.js';
import { type BatchName, batchId, crc32, encodeLines, fileName, parseName, temporaryName } from './format.js';
import { visitLines } from './lines.js';
import { readItems } from './reading.js';
import { type Spool, storageError } from './spool.js';
import { Turns, Writer, discard, isMissing, writeAll } from './writing.js';

/** An item between its acceptance and its file. */
export class Line<Item> {
  /** Nobody waits for it any more: it must not be stored. */
  refused = false;

  constructor(
    readonly item: Item,
    readonly text: string,
    /** 0 when nobody asks. */
    readonly bytes: number,
  ) {}
}

/** What was found of an earlier life. */
export interface Found {
  name: string;
  size: number;
  bytes: number;
}

/**
 * One batch and its file: created with the first lines, appended to in groups, synced, sealed, removed.
 *
 * 1. `bytes` is what was acknowledged. What the file has beyond is cut off before anything else is written.
 * 2. A descriptor whose sync has failed is never used again: what was acknowledged is copied to a new file.
 * 3. A file of an earlier life is never appended to.
 */
export class BatchFile<Item> implements FileBatch<Item> {
  size = 0;
  bytes = 0;
  /** Lines that `items()` found to be damaged, and where. */
  readonly badLines = new Set<number>();
  /** Somebody else has removed the file, and there is no descriptor left to rescue it from. */
  gone = false;
  /** The file is delivered, dropped or dead. */
  over = false;
  readonly #spool: Spool<Item>;
  #name: BatchName | undefined;
  #file: OpenFile | undefined;
  /** In the directory, `dead/` included. */
  #path: string;
  /** Of the acknowledged bytes. */
  #checksum = 0;
  /** Bytes that survive power loss, and whether the name does. */
  #synced = 0;
  #named = false;
  /** There may be more in the file than was acknowledged. */
  #torn = false;
  /** Why the descriptor must not be used any more. */
  #failure: Error | undefined;
  #syncing: Promise<void> | undefined;
  #timer: unknown;
  #sealed = false;
  readonly #turns = new Turns();

  constructor(spool: Spool<Item>, found?: Found) {
    this.#spool = spool;
    this.#name = found === undefined ? spool.newName() : parseName(found.name);
    this.#path = found?.name ?? fileName(this.#name as BatchName); // a new one has a name of ours
    if (found === undefined) return;
    this.size = found.size;
    this.bytes = found.bytes;
  }

  get id(): string {
    return this.#name === undefined ? this.#path.replace(/\.batch$/, '') : batchId(this.#name);
  }

  get filename(): string {
    return this.#spool.path(this.#path);
  }

  get attempts(): number {
    return this.#name?.attempts ?? 0;
  }

  items(): AsyncIterable<Item> {
    return readItems(this.#spool, this);
  }

  // Adding

  /** Stores the lines as durably as asked; if it fails, none of them is in the file. */
  append(lines: readonly Line<Item>[]): Awaitable<void> {
    return this.#turns.take(() => this.#append(lines));
  }

  #append(lines: readonly Line<Item>[]): Awaitable<void> {
    if (this.#failure !== undefined) return this.#rescue(this.#failure).then(() => this.#append(lines));
    if (lines[0]?.refused === true) return; // all of a group are, or none
    const crowded = this.bytes === 0 ? this.#spool.roomFor(sizeOf(lines)) : undefined;
    if (crowded !== undefined) return crowded.then(() => this.#append(lines));
    const bytes = encodeLines(
      lines.map((line) => line.text),
      this.#spool.config.integrity,
    );
    try {
      if (this.#torn) this.#cutOff();
      const file = this.#file ?? this.#create();
      this.#torn = true; // until we know better
      const written = writeAll(file, bytes, this.bytes);
      if (written === undefined && this.#spool.config.durability !== 'item') {
        this.#acknowledge(lines, bytes);
        return;
      }
      return this.#finish(file, lines, bytes, written);
    } catch (error) {
      throw this.#refuse(error);
    }
  }

  async #finish(file: OpenFile, lines: readonly Line<Item>[], bytes: Buffer, written: Awaitable<void>): Promise<void> {
    try {
      await written;
    } catch (error) {
      throw this.#refuse(error);
    }
    if (this.#spool.config.durability === 'item') {
      try {
        await file.sync();
        if (!this.#named) await this.#spool.sync();
        if (file.stat().links === 0) throw new Error('the file was removed');
      } catch (error) {
        // Whether it can be rescued or not: this group is not stored.
        await this.#rescue(asError(error)).catch(() => undefined);
        throw storageError('a sync failed: the items were not stored', error);
      }
      this.#named = true;
    }
    if (lines[0]?.refused === true) this.#refuse(undefined);
    else this.#acknowledge(lines, bytes);
  }

  #acknowledge(lines: readonly Line<Item>[], bytes: Buffer): void {
    const { durability } = this.#spool.config;
    this.#torn = false;
    this.size += lines.length;
    this.bytes += bytes.length;
    this.#spool.bytes += bytes.length;
    this.#spool.reserved -= sizeOf(lines);
    this.#checksum = crc32(bytes, 0, bytes.length, this.#checksum);
    if (durability === 'item') this.#synced = this.bytes;
    if (durability === 'batch') this.#syncLater();
  }

  /** The group was not stored: takes back what was written of it. */
  #refuse(cause: unknown): Error {
    try {
      this.#cutOff();
    } catch {
      // Tried again before anything else is written.
    }
    return storageError('the items were not stored', cause);
  }

  #create(): OpenFile {
    this.#file = this.#spool.files.create(this.filename);
    this.#named = false;
    return this.#file;
  }

  /** Takes back what was not acknowledged. */
  #cutOff(): void {
    this.#file?.truncate(this.bytes);
    this.#torn = false;
    if (this.bytes === 0) this.#forget();
  }

  /** An empty batcher has no file. The next one gets another name, as this one may be impossible to remove. */
  #forget(): void {
    const file = this.#file;
    this.#file = undefined;
    this.#failure = undefined;
    this.#torn = false;
    this.#forgetTimer();
    if (file === undefined) return;
    discard(this.#spool.files, file, this.filename);
    this.#name = this.#spool.newName();
    this.#path = fileName(this.#name);
  }

  // Syncing

  #syncLater(): void {
    if (this.#timer !== undefined || this.#sealed) return;
    const { clock, syncInterval } = this.#spool.config;
    this.#timer = clock.setTimer(() => {
      this.#timer = undefined;
      void this.#syncNow();
    }, syncInterval);
    // What waits for its sync is written already: the process may end.
    (this.#timer as { unref?: () => void } | undefined)?.unref?.();
  }

  async #syncNow(): Promise<void> {
    if (this.#file === undefined || this.#syncing !== undefined || this.#sealed) return;
    this.#syncing = this.#sync(this.#file).catch(async (error: unknown) => {
      const failure = asError(error);
      this.#failure = failure;
      // While it fails, adds are refused; tried again with the next of them, and after the interval.
      const rescued = this.#turns.take(() => (this.#failure === failure ? this.#rescue(failure) : undefined));
      await Promise.resolve(rescued).catch(() => {
        this.#syncLater();
      });
    });
    await this.#syncing;
    this.#syncing = undefined;
    if (this.#synced < this.bytes) this.#syncLater();
  }

  async #sync(file: OpenFile): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (file.stat().links === 0) throw new Error('the file was removed');
    const { bytes } = this;
    await file.sync();
    if (!this.#named) await this.#spool.sync();
    this.#named = true;
    this.#synced = Math.max(this.#synced, bytes);
  }

  /** Copies what was acknowledged to a new file under the same name: the descriptor cannot be trusted any more. */
  async #rescue(cause: Error): Promise<void> {
    const { files } = this.#spool;
    const old = this.#file;
    this.#failure = cause;
    if (old === undefined) return;
    if (this.bytes === 0) {
      this.#forget();
      return;
    }
    const temporary = this.#spool.path(temporaryName(this.#path));
    let copy: OpenFile | undefined;
    try {
      await this.#spool.ensure();
      discard(files, undefined, temporary);
      copy = files.create(temporary);
      const rescued = await this.#copy(old, copy);
      files.rename(temporary, this.filename);
      await this.#spool.sync();
      this.#rescued(copy, rescued, cause);
    } catch (error) {
      if (copy !== undefined) discard(files, copy, temporary);
      throw storageError('a sync failed, and the items cannot be stored elsewhere', error);
    }
    try {
      old.close();
    } catch {
      // It is no use any more.
    }
  }

  async #copy(from: OpenFile, to: OpenFile): Promise<{ good: number; bytes: number; checksum: number }> {
    const writer = new Writer(to);
    let checksum = 0;
    const { integrity } = this.#spool.config;
    const { good } = await visitLines(from, this.bytes, integrity, undefined, (block, start, end, text) => {
      if (text < 0) return;
      const line = block.bytes.subarray(start, end);
      checksum = crc32(line, 0, line.length, checksum);
      return writer.add(line);
    });
    await writer.finish();
    return { good, bytes: writer.bytes, checksum };
  }

  #rescued(copy: OpenFile, rescued: { good: number; bytes: number; checksum: number }, error: unknown): void {
    const { id } = this;
    const lost = rescued.checksum === this.#checksum ? 0 : Math.max(this.size - rescued.good, 1);
    this.#file = copy;
    this.#failure = undefined;
    this.#torn = false;
    this.#named = true;
    this.#spool.bytes += rescued.bytes - this.bytes;
    this.bytes = rescued.bytes;
    this.#checksum = rescued.checksum;
    this.#synced = this.bytes;
    this.#spool.tell('rescued', { id, size: rescued.good, error }, `batch ${id} was copied to a new file`);
    if (lost > 0) this.#spool.tell('lost', { id, items: lost, error }, `${lost} stored items of batch ${id} are lost`);
  }

  // Delivery

  /** Nothing is appended any more: puts it on the disk as asked, looks whether it is still there, lets go of it. */
  async seal(): Promise<void> {
    this.#sealed = true;
    this.#forgetTimer();
    await this.#syncing;
    await this.#turns.take(() => this.#seal());
  }

  async #seal(): Promise<void> {
    if (this.#file === undefined) return;
    const failure = this.#failure ?? (await this.#check(this.#file));
    if (failure !== undefined) await this.#rescue(failure);
    const file = this.#file;
    this.#file = undefined;
    file.close();
  }

  async #check(file: OpenFile): Promise<Error | undefined> {
    try {
      if (this.#torn) this.#cutOff();
      const { bytes, links } = file.stat();
      if (links === 0 || bytes < this.bytes) return new Error('the file was removed or cut');
      if (this.#spool.config.durability !== 'none' && this.#synced < this.bytes) await this.#sync(file);
      return undefined;
    } catch (error) {
      return asError(error);
    }
  }

  /** Notes in the name that an attempt begins, so that it is counted whatever happens to us. */
  beginAttempt(attempt: number): void {
    const { files } = this.#spool;
    const name = this.#name;
    // A bare name has no place for it, but the file has to be there.
    const next = name === undefined ? this.#path : fileName({ ...name, attempts: attempt });
    try {
      if (name === undefined) files.open(this.filename, 'read').close();
      else files.rename(this.filename, this.#spool.path(next));
    } catch (error) {
      if (isMissing(error)) throw this.#lost(error);
      return; // not counted; delivery matters more
    }
    if (name !== undefined) name.attempts = attempt;
    this.#path = next;
  }

  #lost(error: unknown): Error {
    if (!this.gone) {
      const { id, size } = this;
      this.gone = true;
      this.#spool.tell('lost', { id, items: size, error }, `the file of batch ${id} is gone`);
    }
    return new StorageError(`the file of batch ${this.id} is gone`, error);
  }

  /** The batch is delivered, or was dropped. */
  remove(): void {
    if (this.over) return;
    this.#forgetTimer();
    const file = this.#file;
    this.#file = undefined;
    try {
      file?.close();
      this.#spool.files.remove(this.filename);
    } catch (error) {
      if (!isMissing(error)) throw storageError(`the file of batch ${this.id} was not removed`, error);
    }
    this.#isOver(this.bytes);
  }

  async bury(error: unknown): Promise<void> {
    if (this.over) return;
    if (!this.gone) {
      try {
        this.#path = await this.#spool.bury(this.#path);
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

  /** The file stays, for the next life. */
  async release(): Promise<void> {
    if (this.#file === undefined) return;
    if (this.bytes === 0) this.#forget();
    else await this.seal();
  }

  #isOver(bytes: number): void {
    this.over = true;
    this.#spool.free(bytes);
  }

  #forgetTimer(): void {
    if (this.#timer !== undefined) this.#spool.config.clock.clearTimer(this.#timer);
    this.#timer = undefined;
  }
}

function sizeOf(lines: readonly Line<unknown>[]): number {
  return lines.reduce((sum, line) => sum + line.bytes, 0);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('of no known kind', { cause: error });
}
