import { dirname } from 'node:path';
import { examine } from './examine.js';
import type { FileStat, OpenFile } from './file-system.js';
import { RETURNED, parseName, fileName } from './format.js';
import { onDisk } from './measure.js';
import { type Copy, copyWhole } from './parts.js';
import { type Spool, isSame } from './spool.js';
import type { Folder } from './spool-config.js';

const NONE: ReadonlySet<number> = new Set();

/** The facts about a file when it takes no more items. */
export interface Contents {
  /** In the directory. */
  readonly name: string;
  /** Up to the end of the last good line. */
  readonly bytes: number;
  /** Bytes that the spool counts for it. */
  readonly counted: number;
  readonly stat?: FileStat | undefined;
  readonly source?: OpenFile | undefined;
  readonly badLines?: ReadonlySet<number>;
  readonly unsafe?: boolean;
  /** It is on the disk as durably as asked. */
  readonly synced: boolean;
  /** A sync has failed. */
  readonly doubtful?: boolean;
}

/** Those of a file that is not written yet. */
export const NOTHING: Contents = { name: '', bytes: 0, counted: 0, synced: true };

/** The file of a batch that takes no more items. */
export class SealedFile<Item> {
  bytes: number;
  /** The only way to a file that has no name any more. */
  source: OpenFile | undefined;
  /** Where the damaged lines are that are in `quarantine/`, and in the file still. */
  badLines: ReadonlySet<number>;
  /** Damaged lines are in this file only. */
  unsafe: boolean;
  readonly #spool: Spool<Item>;
  #name: string;
  /** Bytes that the spool counts for it; -1 once they are free. */
  #counted: number;
  #stat: FileStat | undefined;
  #synced: boolean;
  #syncing: Promise<void> | undefined;
  /** A sync has failed: the next one may succeed without anything being on the disk. */
  #doubtful: boolean;

  constructor(spool: Spool<Item>, contents: Contents) {
    const { name, bytes, counted, stat, source, badLines, unsafe, synced, doubtful } = contents;
    this.#spool = spool;
    this.#name = name;
    this.bytes = bytes;
    this.#counted = counted;
    this.#stat = stat;
    this.source = source;
    this.badLines = badLines ?? NONE;
    this.unsafe = unsafe ?? false;
    this.#synced = synced;
    this.#doubtful = doubtful ?? false;
  }

  get name(): string {
    return this.#name;
  }

  get path(): string {
    return this.#spool.path(this.#name);
  }

  /** A sync has failed: it may not be on the disk. */
  get isDoubtful(): boolean {
    return this.#doubtful;
  }

  /**
   * Puts it on the disk: the process that has written it may have died before it came to that, or its sync has failed. Then
   * a copy takes its place, since it is unknown what of the file is on the disk.
   */
  sync(): Promise<void> {
    if (this.#synced || this.#spool.config.durability === 'none') return Promise.resolve();
    this.#syncing ??= this.#sync()
      .then(() => {
        this.#synced = true;
      })
      .finally(() => {
        this.#syncing = undefined;
      });
    return this.#syncing;
  }

  async #sync(): Promise<void> {
    if (this.#doubtful) {
      if (this.look() !== 'same') throw new Error('the file was changed, moved or removed');
      const [name, stat] = [this.#name, this.#stat];
      // An attempt that has begun meanwhile, and `dead/`, have given it another name; a split has written it anew.
      const stays = (): boolean => this.#name === name && this.#stat === stat && this.look() === 'same';
      this.#count(await copyWhole(this.#spool, name, this.bytes, stays));
      const folder = dirname(name);
      await this.#spool.sync(folder === '.' ? '' : folder);
      this.#doubtful = false;
      return;
    }
    const file = this.#spool.files.open(this.path, 'read');
    try {
      await file.sync();
    } catch (error) {
      this.#doubtful = true;
      throw error;
    } finally {
      file.close();
    }
  }

  /** Compares it to what was stored. */
  look(): 'same' | 'changed' | 'missing' {
    if (this.source !== undefined) return 'same';
    const found = this.#spool.files.stat(this.path);
    // An entry of its name that is no file holds no items.
    if (found?.regular !== true) return 'missing';
    const known = (this.#stat ??= found);
    const same = isSame(found, known) && found.modified === known.modified && found.bytes === known.bytes;
    return same ? 'same' : 'changed';
  }

  /** Finds out what is left of it: how many lines, and how many are in `quarantine/` now. */
  async examine(): Promise<{ size: number; quarantined: number }> {
    const found = await examine(this.#spool, this.#name, this.bytes);
    this.#count(found.stat);
    this.bytes = found.bytes;
    this.badLines = found.badLines;
    this.unsafe ||= found.unsafe;
    return found;
  }

  /** It was written anew, with a part of its items. */
  written({ bytes, stat }: Copy): void {
    this.bytes = bytes;
    this.badLines = NONE;
    this.#doubtful = false;
    this.#synced = true;
    this.#count(stat);
  }

  #count(stat: FileStat): void {
    this.#stat = stat;
    if (this.#counted < 0) return; // it was removed while it was examined
    this.#spool.bytes += onDisk(stat) - this.#counted;
    this.#counted = onDisk(stat);
  }

  /** Notes in the name how many attempts were begun, where it has one of ours. */
  note(attempts: number): void {
    const name = parseName(this.#name);
    if (name === undefined || this.source !== undefined) return;
    const next = fileName({ ...name, attempts });
    this.#spool.files.rename(this.path, this.#spool.path(next));
    this.#name = next;
  }

  /** Moves it to a folder whose files are not delivered. */
  async moveTo(folder: Folder): Promise<void> {
    await this.#spool.moveTo(folder, this.#name, (name) => {
      this.#name = name;
      this.#spool.measure.aside += this.#counted;
    });
  }

  /** Moves it to its new owner's folder, who may have removed it already. */
  async giveBack(): Promise<void> {
    try {
      await this.moveTo(RETURNED);
    } catch (error) {
      if (this.look() !== 'missing') throw error;
      this.free();
    }
  }

  /** May throw; the file is there then. A directory that has taken its name stays. */
  remove(): void {
    try {
      if (this.source === undefined) this.#spool.remove(this.#name);
    } catch (error) {
      if (this.look() !== 'missing') throw error;
    }
    this.close();
  }

  /** The file is not there any more: the room that it took is free, and nothing is left to sync. */
  free(): void {
    this.#synced = true;
    if (this.#counted >= 0) this.#spool.free(this.#counted);
    this.#counted = -1;
  }

  close(): void {
    this.source?.close();
    this.source = undefined;
  }
}
