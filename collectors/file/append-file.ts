import type { Awaitable } from '../../src/index.js';
import { type Sealed, closeFile } from './closing.js';
import { fileName } from './format.js';
import { type Line, sizeOf } from './line.js';
import { LiveFile } from './live-file.js';
import { PeriodicSync } from './periodic-sync.js';
import { type Spool, storageError } from './spool.js';
import { Turns, asError, isMissing, writeAll } from './writing.js';

/** How often a group is written again because its file had lost its name meanwhile. */
const TRIES = 3;

/** Appends the items of one batch to its file in groups, syncs it as asked, and seals it. */
export class AppendFile<Item> {
  readonly live: LiveFile<Item>;
  readonly #spool: Spool<Item>;
  readonly #syncs: PeriodicSync<Item>;
  readonly #turns = new Turns();
  #sealed: Promise<Sealed> | undefined;

  constructor(spool: Spool<Item>) {
    this.#spool = spool;
    this.live = new LiveFile(spool);
    this.#syncs = new PeriodicSync(this.live, this.#turns, spool.config);
  }

  /** Stores the lines as durably as asked; if it fails, none of them is in the file. */
  append(lines: readonly Line<Item>[]): Awaitable<void> {
    return this.#turns.take(() => this.#append(lines, TRIES));
  }

  /**
   * Takes no more lines: puts the file on the disk as asked, looks whether it is still there, closes it. Rejects if what a
   * failed sync has lost is in memory only; it may be called again then.
   */
  seal(): Promise<Sealed> {
    this.#syncs.stop();
    this.#sealed ??= this.#close().catch((error: unknown) => {
      this.#sealed = undefined;
      throw error;
    });
    return this.#sealed;
  }

  /** A file that could not be sealed stays as it is, for the next process; without anything in it there is none. */
  async release(): Promise<void> {
    const { live } = this;
    if (live.file === undefined) return;
    if (live.bytes > 0) {
      live.detach()?.close();
      return;
    }
    // A group that was refused meanwhile may still be written.
    await this.#turns.take(() => this.#giveUp());
  }

  /** The file is of no use any more. Its descriptor is closed when no operation uses it. May throw; the file is there then. */
  remove(): void {
    const { live } = this;
    live.dropped = true;
    this.#syncs.stop();
    const file = live.detach();
    if (file !== undefined) {
      const { idle } = this.#syncs;
      void this.#turns.take(() =>
        idle.then(() => {
          file.close();
        }),
      );
    }
    this.#spool.remove(fileName(live.name));
  }

  /** The room that it took is free. */
  free(): void {
    this.#spool.free(this.live.bytes);
  }

  // Adding

  #append(lines: readonly Line<Item>[], tries: number): Awaitable<void> {
    const { live } = this;
    const spool = this.#spool;
    if (live.failure !== undefined) return live.restore(live.failure).then(() => this.#append(lines, tries));
    if (lines[0]?.refused === true) return; // all of a group are, or none
    const crowded = spool.roomFor(lines, live.bytes);
    if (crowded !== undefined) return crowded.then(() => this.#append(lines, tries));
    const bytes = spool.encoder.encode(lines, spool.config.integrity);
    try {
      if (live.torn) live.cutOff();
      const file = live.file ?? live.create();
      live.torn = true; // until we know better
      const written = writeAll(file, bytes, live.bytes);
      if (written === undefined && spool.config.durability !== 'item' && spool.isOwned()) {
        this.#acknowledge(lines, bytes);
        return;
      }
      return this.#finish(lines, bytes, written, tries);
    } catch (error) {
      // The directory was moved or removed: it is made again, and so is the file.
      if (isMissing(error) && tries > 0 && !spool.isOwned()) return this.#appendAfterTaking(lines, tries - 1);
      return this.#refuse(error);
    }
  }

  async #appendAfterTaking(lines: readonly Line<Item>[], tries: number): Promise<void> {
    try {
      await this.#spool.ensure();
    } catch (error) {
      return this.#refuse(error);
    }
    return this.#append(lines, tries);
  }

  async #finish(lines: readonly Line<Item>[], bytes: Buffer, written: Awaitable<void>, tries: number): Promise<void> {
    const { live } = this;
    const spool = this.#spool;
    try {
      await written;
    } catch (error) {
      return this.#refuse(error);
    }
    const owned = spool.isOwned();
    try {
      if (spool.config.durability === 'item' && owned) await live.sync();
    } catch (error) {
      // Whether the file can be repaired or not: this group is not stored.
      await live.restore(asError(error)).catch(() => undefined);
      throw storageError('a sync failed: the items were not stored', error);
    }
    let damage: Error | undefined;
    try {
      damage = await this.#damage(owned);
    } catch (error) {
      return this.#refuse(error);
    }
    if (damage !== undefined) {
      live.failure = damage;
      if (tries === 0) throw storageError('the file was moved again and again', damage);
      return this.#append(lines, tries - 1);
    }
    if (lines[0]?.refused === true) await this.#takeBack();
    else {
      const { length } = bytes;
      this.#acknowledge(lines, bytes);
      if (spool.config.durability === 'item' && lines[0] !== undefined) {
        lines[0].takeBack = () => {
          this.#takeBackStored(lines, length);
        };
      }
    }
  }

  /** The last group was refused after it had been stored, in the microtasks before its callers got their answer. */
  #takeBackStored(lines: readonly Line<Item>[], bytes: number): void {
    const { live } = this;
    live.acknowledge(-lines.length, -bytes, true);
    live.torn = true;
    this.#spool.bytes -= bytes;
    if (this.#spool.config.maxBytes < Infinity) this.#spool.reserved += sizeOf(lines); // each refusal takes its part off
    void this.#turns.take(() => this.#takeBack());
  }

  /** Another process may have had the directory meanwhile, or may have moved the file. */
  async #damage(owned: boolean): Promise<Error | undefined> {
    const { durability } = this.#spool.config;
    if (owned && durability !== 'item') return undefined;
    if (!owned || !this.#spool.isOwned()) await this.#spool.ensure();
    const damage = this.live.damage();
    if (damage !== undefined || owned || durability !== 'item') return damage;
    return new Error('the lock was lost before the sync');
  }

  #acknowledge(lines: readonly Line<Item>[], bytes: Buffer): void {
    const { live } = this;
    const { durability, maxBytes } = this.#spool.config;
    live.acknowledge(lines.length, bytes.length, durability === 'item');
    this.#spool.bytes += bytes.length;
    if (maxBytes < Infinity) this.#spool.reserved -= sizeOf(lines);
    if (durability === 'batch') {
      live.kept.add(bytes);
      this.#syncs.changed();
    }
    this.#spool.encoder.giveBack(bytes);
    if (live.bytes > this.#spool.largestFile) this.#spool.beginNewFile();
  }

  #refuse(cause: unknown): Awaitable<never> {
    const { live } = this;
    const refusal = storageError('the items were not stored', cause);
    const code = (cause as NodeJS.ErrnoException | undefined)?.code;
    // A limit on the size of files: the next batch has a file of its own.
    if (code === 'EFBIG' && live.bytes > 0) this.#spool.limitFiles(live.bytes);
    const takenBack = this.#takeBack();
    if (code === 'EBADF' && live.file !== undefined) live.failure = refusal;
    if (takenBack === undefined) throw refusal;
    return takenBack.then(() => {
      throw refusal;
    });
  }

  /** A group was not stored: takes back what was written of it, as durably as it would have been stored. */
  #takeBack(): Awaitable<void> {
    const { live } = this;
    try {
      live.cutOff();
    } catch {
      return; // tried again before anything else is written
    }
    const { durability } = this.#spool.config;
    if (durability === 'item') return live.syncCut();
    if (durability === 'batch' && live.cut) this.#syncs.changed();
  }

  /** Nothing in the file was acknowledged: it goes. */
  #giveUp(): Awaitable<void> {
    const { live } = this;
    try {
      live.file?.truncate(0);
    } catch {
      // It is removed all the same.
    }
    this.#syncs.forget();
    live.forget();
    if (this.#spool.config.durability === 'item') return live.syncCut();
  }

  // Sealing

  async #close(): Promise<Sealed> {
    await this.#syncs.idle;
    return await this.#turns.take(() => this.#closeNow());
  }

  async #closeNow(): Promise<Sealed> {
    const { live } = this;
    if (live.file === undefined) return { stat: undefined, source: undefined, doubtful: false };
    try {
      if (live.torn) live.cutOff();
    } catch {
      // Nothing beyond `bytes` is ever read.
    }
    return closeFile(this.#spool, live);
  }
}
