import type { Awaitable } from '../../src/index.js';
import { crc32 } from './checksum.js';
import type { OpenFile } from './file-system.js';
import { type BatchName, batchId, fileName, temporaryName } from './format.js';
import { type Line, sizeOf } from './line.js';
import { Kept, type Rescued, rescue } from './rescue.js';
import { type Spool, storageError } from './spool.js';
import { Turns, discard, writeAll } from './writing.js';

const NOBODY = Promise.resolve();

/** Bytes; so many that are not synced yet do not wait for the interval. */
const SYNC_EARLY = 8 * 1024 * 1024;

/**
 * The file of a batch while it takes items: created with the first lines, appended to in groups, synced, sealed.
 *
 * 1. `bytes` is what was acknowledged. What the file has beyond is cut off before anything else is written.
 * 2. A descriptor whose sync has failed is never used again: what was acknowledged is copied to a new file.
 */
export class AppendFile<Item> {
  name: BatchName;
  /** Lines. */
  size = 0;
  bytes = 0;
  /** Lines that were acknowledged, and that a failed sync has taken along. */
  lost = 0;
  readonly #spool: Spool<Item>;
  #file: OpenFile | undefined;
  /** Of the acknowledged bytes, where lines have none that would show what a failed sync has changed. */
  #checksum = 0;
  readonly #summed: boolean;
  /** Bytes that survive power loss, and whether the name does. */
  #synced = 0;
  #named = false;
  readonly #kept = new Kept();
  /** There may be more in the file than was acknowledged. */
  #torn = false;
  /** It was cut, and power loss may undo that. */
  #cut = false;
  /** Why the descriptor must not be used any more. */
  #failure: Error | undefined;
  #syncing: Promise<void> | undefined;
  #timer: unknown;
  #sealed = false;
  #dropped = false;
  readonly #turns = new Turns();

  constructor(spool: Spool<Item>) {
    this.#spool = spool;
    this.#summed = spool.config.integrity === 'none' && spool.config.durability !== 'none';
    this.name = spool.newName();
  }

  /** Stores the lines as durably as asked; if it fails, none of them is in the file. */
  append(lines: readonly Line<Item>[]): Awaitable<void> {
    return this.#turns.take(() => this.#append(lines));
  }

  /** Nothing is appended any more: puts it on the disk as asked, looks whether it is still there, lets go of it. */
  async seal(): Promise<void> {
    this.#sealed = true;
    this.#forgetTimer();
    await this.#syncing;
    await this.#turns.take(() => this.#seal());
  }

  /** The file stays as it is, for the next life; without anything in it there is none. */
  async release(): Promise<void> {
    if (this.#file === undefined) return;
    if (this.bytes > 0) await this.seal();
    // A group that was refused meanwhile may still be at it.
    else await this.#turns.take(() => this.#giveUp());
  }

  /** The file is of no use any more. Its descriptor is closed when nobody is at it. */
  drop(): void {
    this.#dropped = true;
    this.#forgetTimer();
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    const syncing = this.#syncing;
    void this.#turns.take(() =>
      (syncing ?? NOBODY).then(() => {
        file.close();
      }),
    );
  }

  // Adding

  #append(lines: readonly Line<Item>[]): Awaitable<void> {
    if (this.#failure !== undefined) return this.#rescue(this.#failure).then(() => this.#append(lines));
    if (lines[0]?.refused === true) return; // all of a group are, or none
    const crowded = this.#spool.roomFor(lines, this.bytes);
    if (crowded !== undefined) return crowded.then(() => this.#append(lines));
    const bytes = this.#spool.encoder.encode(lines, this.#spool.config.integrity);
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
      return this.#refuse(error);
    }
  }

  async #finish(file: OpenFile, lines: readonly Line<Item>[], bytes: Buffer, written: Awaitable<void>): Promise<void> {
    try {
      await written;
    } catch (error) {
      return this.#refuse(error);
    }
    if (this.#spool.config.durability === 'item') {
      try {
        this.#cut = false;
        await file.sync();
        if (!this.#named) await this.#spool.sync();
        if (file.stat().links === 0) throw new Error('the file was removed');
      } catch (error) {
        // Whether the rest can be rescued or not: this group is not stored.
        await this.#rescue(asError(error)).catch(() => undefined);
        throw storageError('a sync failed: the items were not stored', error);
      }
      this.#named = true;
    }
    if (lines[0]?.refused === true) await this.#takeBack();
    else this.#acknowledge(lines, bytes);
  }

  #acknowledge(lines: readonly Line<Item>[], bytes: Buffer): void {
    const { durability, maxBytes } = this.#spool.config;
    this.#torn = false;
    this.size += lines.length;
    this.bytes += bytes.length;
    this.#spool.bytes += bytes.length;
    if (maxBytes < Infinity) this.#spool.reserved -= sizeOf(lines);
    if (this.#summed) this.#checksum = crc32(bytes, 0, bytes.length, this.#checksum);
    if (durability === 'batch') {
      this.#kept.add({ bytes, lines: lines.length });
      if (this.#kept.bytes > SYNC_EARLY) void this.#syncNow();
      else this.#syncLater();
      return;
    }
    // For `none` there are no syncs, so none can fail.
    if (durability === 'item') this.#synced = this.bytes;
    this.#kept.synced(this.bytes);
    this.#spool.encoder.giveBack(bytes);
  }

  #refuse(cause: unknown): Awaitable<never> {
    const refusal = storageError('the items were not stored', cause);
    const takenBack = this.#takeBack();
    if (takenBack === undefined) throw refusal;
    return takenBack.then(() => {
      throw refusal;
    });
  }

  /** A group was not stored: takes back what was written of it, as durably as it would have been stored. */
  #takeBack(): Awaitable<void> {
    try {
      this.#cutOff();
    } catch {
      return; // tried again before anything else is written
    }
    const { durability } = this.#spool.config;
    if (durability === 'item') return this.#syncCut();
    if (durability === 'batch' && this.#cut) this.#syncLater();
  }

  async #syncCut(): Promise<void> {
    try {
      if (this.#cut) await this.#file?.sync();
      else await this.#spool.syncNames();
      this.#cut = false;
    } catch (error) {
      // The group is refused whatever comes of it; what is left is rescued before anything else is written.
      if (this.#file !== undefined) this.#failure = asError(error);
    }
  }

  #create(): OpenFile {
    this.#file = this.#spool.files.create(this.#path);
    this.#named = false;
    return this.#file;
  }

  get #path(): string {
    return this.#spool.path(fileName(this.name));
  }

  /** Takes back what was not acknowledged. */
  #cutOff(): void {
    this.#file?.truncate(this.bytes);
    this.#torn = false;
    this.#cut = this.#file !== undefined;
    if (this.bytes === 0) this.#forget();
  }

  /** Nothing in it was acknowledged: it goes. */
  #giveUp(): Awaitable<void> {
    try {
      this.#file?.truncate(0);
    } catch {
      // It is removed all the same.
    }
    this.#forget();
    if (this.#spool.config.durability === 'item') return this.#syncCut();
  }

  /** An empty batcher has no file. The next one gets another name, as this one may be impossible to remove. */
  #forget(): void {
    const file = this.#file;
    this.#file = undefined;
    this.#failure = undefined;
    this.#torn = false;
    this.#cut = false;
    this.#forgetTimer();
    if (file === undefined) return;
    this.#spool.discard(file, fileName(this.name));
    this.name = this.#spool.newName();
  }

  // Syncing

  #syncLater(): void {
    if (this.#timer !== undefined || this.#sealed || this.#dropped) return;
    const { clock, syncInterval } = this.#spool.config;
    this.#timer = clock.setTimer(() => {
      this.#timer = undefined;
      void this.#syncNow();
    }, syncInterval);
    // What waits for its sync is written already: the process may end.
    (this.#timer as { unref?: () => void } | undefined)?.unref?.();
  }

  #forgetTimer(): void {
    if (this.#timer !== undefined) this.#spool.config.clock.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  async #syncNow(): Promise<void> {
    if (this.#file === undefined || this.#syncing !== undefined || this.#sealed) return;
    this.#forgetTimer();
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
    if (this.#synced < this.bytes || this.#cut) this.#syncLater();
  }

  async #sync(file: OpenFile): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (file.stat().links === 0) throw new Error('the file was removed');
    const { bytes } = this;
    this.#cut = false;
    await file.sync();
    if (!this.#named) await this.#spool.sync();
    this.#named = true;
    this.#synced = Math.max(this.#synced, bytes);
    this.#kept.synced(this.#synced);
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
      const dirty = this.#synced < this.bytes || this.#cut;
      if (this.#spool.config.durability !== 'none' && dirty) await this.#sync(file);
      return undefined;
    } catch (error) {
      return asError(error);
    }
  }

  // Rescue

  /** Copies what was acknowledged to a new file under the same name: the descriptor cannot be trusted any more. */
  async #rescue(cause: Error): Promise<void> {
    const { files, config } = this.#spool;
    const old = this.#file;
    this.#failure = cause;
    if (old === undefined) return;
    if (this.bytes === 0) {
      await this.#giveUp();
      return;
    }
    const temporary = temporaryName(this.#path);
    let copy: OpenFile | undefined;
    try {
      await this.#spool.ensure();
      discard(files, undefined, temporary);
      copy = files.create(temporary);
      const rescued = await rescue(old, copy, this.bytes, config.integrity, this.#kept);
      if (this.#dropped) throw new Error('the batch was dropped meanwhile');
      files.rename(temporary, this.#path);
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

  #rescued(copy: OpenFile, { lines, bytes, checksum }: Rescued, error: unknown): void {
    const id = batchId(this.name);
    const changed = this.#summed && checksum !== this.#checksum;
    const lost = Math.max(this.size - lines, changed ? 1 : 0);
    this.#file = copy;
    this.#failure = undefined;
    this.#torn = false;
    this.#cut = false;
    this.#named = true;
    this.#spool.bytes += bytes - this.bytes;
    this.lost += this.size - lines;
    this.size = lines;
    this.bytes = bytes;
    this.#checksum = checksum;
    this.#synced = bytes;
    this.#kept.synced(bytes);
    this.#spool.tell('rescued', { id, size: lines, error }, `batch ${id} was copied to a new file`);
    if (lost > 0) this.#spool.tell('lost', { id, items: lost, error }, `${lost} stored items of batch ${id} are lost`);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('of no known kind', { cause: error });
}
