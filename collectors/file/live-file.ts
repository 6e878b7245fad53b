import { type BatchName, batchId, fileName } from './format.js';
import type { OpenFile } from './file-system.js';
import { Kept } from './kept.js';
import { rescue } from './rescue.js';
import { type Spool, isSame, storageError } from './spool.js';
import { asError, closeQuietly, copyRange, writeAll } from './writing.js';

/**
 * The file of a batch while it takes items: its descriptor, and how much of it is acknowledged, and survives power loss.
 *
 * 1. `bytes` is acknowledged. Anything beyond is cut off before the next write.
 * 2. After a failed sync the descriptor is never used for writing again: bytes not synced are written anew through
 *    another one, into the same file. Synced bytes stay as they are.
 * 3. A file that has lost its name, or a part of its content, is copied from the descriptor and takes its name back.
 */
export class LiveFile<Item> {
  name: BatchName;
  /** Lines. */
  size = 0;
  bytes = 0;
  /** Acknowledged lines that a rescue did not find any more. */
  lost = 0;
  /** The file may have more than was acknowledged. */
  torn = false;
  /** Why the descriptor must not be written to. */
  failure: Error | undefined;
  dropped = false;
  /** It was cut, and power loss may undo that. */
  cut = false;
  /** `false` after a failed sync, until what it may have lost was written again from memory. */
  readable = true;
  readonly kept: Kept;
  readonly #spool: Spool<Item>;
  #file: OpenFile | undefined;
  /** Bytes that survive power loss, and whether the name does. */
  #synced = 0;
  #named = false;
  /** How many of the lost lines were reported. */
  #reported = 0;

  constructor(spool: Spool<Item>) {
    this.#spool = spool;
    this.name = spool.newName();
    this.kept = new Kept(spool.kept);
  }

  get file(): OpenFile | undefined {
    return this.#file;
  }

  get path(): string {
    return this.#spool.path(fileName(this.name));
  }

  /** Power loss would undo something. */
  get dirty(): boolean {
    return this.#synced < this.bytes || this.cut;
  }

  create(): OpenFile {
    this.#file = this.#spool.files.create(this.path);
    this.#named = false;
    return this.#file;
  }

  /** Counts lines that are written, and synced if need be, as stored. */
  acknowledge(lines: number, bytes: number, synced: boolean): void {
    this.torn = false;
    this.size += lines;
    this.bytes += bytes;
    if (synced) this.#synced = this.bytes;
  }

  /** Checks the name and the length; `undefined` if both are as they should be. May throw. */
  damage(): Error | undefined {
    if (this.#file === undefined) return undefined;
    const own = this.#file.stat();
    const named = this.#spool.files.stat(this.path);
    if (named === undefined || !isSame(own, named)) return new Error('the file was moved or removed');
    return own.bytes < this.bytes ? new Error('the file was cut short') : undefined;
  }

  /** The same; a look that fails says nothing about the file. */
  seenDamage(): Error | undefined {
    try {
      return this.damage();
    } catch {
      return undefined;
    }
  }

  /** Puts everything written so far on the disk, with the name. */
  async sync(): Promise<void> {
    const { bytes } = this;
    this.cut = false;
    this.kept.mark();
    this.readable = this.kept.bytes === 0;
    await this.#file?.sync();
    this.readable = true;
    if (!this.#named) await this.#spool.sync();
    this.#named = true;
    // Items that the file has lost meanwhile are still in memory. 'item' checks this before each promise resolves.
    const damage = this.#spool.config.durability === 'item' ? undefined : this.seenDamage();
    if (damage !== undefined) throw damage;
    this.#synced = Math.max(this.#synced, bytes);
    this.kept.synced(bytes, this.bytes);
  }

  /** Takes back what was not acknowledged. */
  cutOff(): void {
    this.#file?.truncate(this.bytes);
    this.torn = false;
    this.cut = this.#file !== undefined;
    if (this.bytes === 0) this.forget();
  }

  /** Makes the removal of what was not acknowledged survive power loss. Never rejects. */
  async syncCut(): Promise<void> {
    try {
      if (this.cut) await this.#file?.sync();
      else await this.#spool.syncNames();
      this.cut = false;
    } catch (error) {
      // The group is refused whatever comes of it; the file is repaired before anything else is written.
      if (this.#file !== undefined) this.failure = asError(error);
    }
  }

  /** An empty batcher has no file. The next one gets another name, as this one may be impossible to remove. */
  forget(): void {
    const file = this.#file;
    this.#file = undefined;
    this.failure = undefined;
    this.torn = false;
    this.cut = false;
    if (file === undefined) return;
    this.#spool.discard(file, fileName(this.name));
    this.name = this.#spool.newName();
  }

  /** The descriptor, which is the caller's from now on. */
  detach(): OpenFile | undefined {
    const file = this.#file;
    this.#file = undefined;
    this.kept.clear();
    return file;
  }

  /** Repairs a file whose descriptor, name or content is damaged. Rejects if it cannot, and may be called again. */
  async restore(cause: Error): Promise<void> {
    this.failure = cause;
    const file = this.#file;
    if (file === undefined) return;
    if (this.bytes === 0) {
      try {
        file.truncate(0);
      } catch {
        // It is removed all the same.
      }
      this.forget();
      if (this.#spool.config.durability === 'item') await this.syncCut();
      return;
    }
    try {
      await this.#spool.ensure();
      if (this.damage() === undefined) this.#replace(file, await this.#repaired(file));
      else await this.#copy(file, cause);
    } catch (error) {
      throw storageError('a file cannot be written to, and its items cannot be stored elsewhere', error);
    }
    this.failure = undefined;
    this.readable = true;
    this.#named = true;
    this.#isSynced();
    const { size, name } = this;
    const id = batchId(name);
    this.#spool.report('rescued', { id, size, error: cause }, `the file of batch ${id} was made whole again`);
  }

  #replace(old: OpenFile, fresh: OpenFile): void {
    // The caller that drops the batch closes the old one.
    closeQuietly(this.dropped ? fresh : old);
    if (this.dropped) throw new Error('the batch was dropped meanwhile');
    this.#file = fresh;
  }

  /** Writes what was not synced once more, through another descriptor: that makes it dirty again, so that a sync counts. */
  async #repaired(old: OpenFile): Promise<OpenFile> {
    const fresh = this.#spool.files.open(this.path, 'write');
    try {
      if (!isSame(fresh.stat(), old.stat())) throw new Error('the file was moved or removed');
      fresh.truncate(this.bytes);
      if (this.#spool.config.durability === 'none') return fresh;
      if (this.#synced < this.bytes) await this.#rewrite(old, fresh);
      this.readable = this.kept.bytes === 0;
      await fresh.sync();
      this.readable = true;
      await this.#spool.sync();
      return fresh;
    } catch (error) {
      // The second failed sync may have lost it again; without one it can at least be read.
      if (this.kept.bytes > 0) await this.#rewrite(old, fresh).catch(() => undefined);
      fresh.close();
      throw error;
    }
  }

  async #rewrite(old: OpenFile, fresh: OpenFile): Promise<void> {
    const { from } = this.kept;
    if (from !== undefined) {
      let at = from;
      for (const piece of this.kept) {
        await writeAll(fresh, piece, at);
        at += piece.length;
      }
      this.readable = true;
      return;
    }
    await copyRange(old, fresh, this.#synced, this.bytes);
  }

  async #copy(old: OpenFile, cause: Error): Promise<void> {
    const { file, lines, bytes } = await rescue(this.#spool, this, old);
    this.#spool.bytes += bytes - this.bytes;
    this.lost += this.size - lines;
    this.size = lines;
    this.bytes = bytes;
    // The copy has the name: it is the file from here on, whatever becomes of the directory's sync.
    this.#replace(old, file);
    this.#isSynced();
    this.#reportLost(cause);
    this.#named = false;
    if (this.#spool.config.durability !== 'none') await this.#spool.sync();
  }

  #isSynced(): void {
    this.torn = this.cut = false;
    this.#synced = this.bytes;
    this.kept.mark();
    this.kept.synced(this.bytes, this.bytes);
  }

  #reportLost(error: Error): void {
    const items = this.lost - this.#reported;
    if (items === 0) return;
    const id = batchId(this.name);
    this.#reported = this.lost;
    this.#spool.report('lost', { id, items, error }, `${items} stored items of batch ${id} are lost`);
  }
}
