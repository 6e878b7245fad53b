import { join } from 'node:path';
import { LockedError, OverflowError, StorageError } from '../../src/index.js';
import { Encoder } from './encoder.js';
import type { FileStat, FileSystem, OpenFile } from './file-system.js';
import { FolderSyncs } from './folder-syncs.js';
import { type BatchName, QUARANTINE } from './format.js';
import { type Line, sizeOf } from './line.js';
import type { Lock } from './lock.js';
import { Measure } from './measure.js';
import type { Folder, Owner, SpoolConfig, Report } from './spool-config.js';
import { discard, freeName } from './writing.js';

export type { SpoolConfig } from './spool-config.js';

/** The directory of one batcher: its lock, its names, and how much is in it. */
export class Spool<Item> {
  /** Bytes of lines that were accepted and are not written yet. */
  reserved = 0;
  /** Bytes; a file that has become larger is the last one of its batch. */
  largestFile = Infinity;
  readonly encoder = new Encoder();
  /** Bytes that all files keep in memory until they are synced. */
  readonly kept = { bytes: 0 };
  /** Reads whose attempt is over, and which the disk has not answered: each has a descriptor. */
  abandonedReads = 0;
  readonly measure: Measure;
  readonly report: Report;
  readonly #owner: Owner;
  #lock: Lock | undefined;
  #taking: Promise<void> | undefined;
  #lostLock = false;
  #released = false;
  #sequence = 0;
  readonly #syncs: FolderSyncs;
  readonly #waiting: (() => void)[] = [];

  constructor(
    readonly config: SpoolConfig<Item>,
    readonly files: FileSystem,
    owner: Owner,
  ) {
    this.#owner = owner;
    this.report = owner.report;
    this.#syncs = new FolderSyncs(files, config.directory);
    this.measure = new Measure(files, config, () => {
      this.#admit();
      owner.look();
    });
  }

  /** Bytes on disk, `quarantine/` and `dead/` included. */
  get bytes(): number {
    return this.measure.bytes;
  }

  set bytes(bytes: number) {
    this.measure.bytes = bytes;
  }

  /** Takes the directory, and answers with its names if it has read them; rejects with `LockedError` or `StorageError`. */
  async take(): Promise<readonly string[] | undefined> {
    const { directory, durability } = this.config;
    try {
      await this.files.makeDirectory(directory, durability !== 'none');
      const lock = await this.files.lock(directory);
      // The disk has not answered before the end of `close`.
      if (this.#released) {
        await lock.release();
        throw new StorageError('it was closed meanwhile');
      }
      this.#lock = lock;
      this.#lostLock = false;
      this.measure.start();
      return lock.names?.();
    } catch (error) {
      throw storageError(`the directory ${directory} cannot be used`, error);
    }
  }

  async release(forGood = false): Promise<void> {
    this.#released ||= forGood;
    const lock = this.#lock;
    this.#lock = undefined;
    this.measure.stop();
    await lock?.release();
  }

  /** Whether the directory and the lock's name are still ours. */
  isOwned(): boolean {
    try {
      return this.#lock?.held() === true;
    } catch {
      return false;
    }
  }

  /** Takes the lock again after it was removed, perhaps with its directory, unless another process has it. */
  ensure(): Promise<void> {
    if (this.isOwned()) return Promise.resolve();
    this.#taking ??= this.#takeAgain().finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  async #takeAgain(): Promise<void> {
    try {
      const lock = this.#lock;
      this.#lock = undefined;
      await lock?.release();
      await this.take();
    } catch (error) {
      const { directory } = this.config;
      if (!this.#lostLock) this.report('unowned', { directory, error }, `the lock of ${directory} is lost`);
      this.#lostLock = true;
      throw error;
    }
  }

  path(name: string): string {
    return join(this.config.directory, name);
  }

  /** Makes the names in a folder survive power loss. Calls that wait share the next sync. */
  sync(folder = ''): Promise<void> {
    return this.#syncs.sync(folder);
  }

  remove(name: string): void {
    this.files.remove(this.path(name));
    this.#syncs.changes++;
  }

  /** Removes a file that is of no use any more, whatever state it is in. */
  discard(file: OpenFile, name: string): void {
    discard(this.files, file, this.path(name));
    this.#syncs.changes++;
  }

  /** The names may be as young as the lines in the files; a sync that fails here is tried again before a batch is begun. */
  async syncFound(): Promise<void> {
    this.#syncs.changes++;
    await this.syncNames().catch(() => undefined);
  }

  /**
   * Power loss would undo removals, and the batches would be delivered again: at most one batch may be, so the next is not
   * begun before this resolves.
   */
  async syncNames(): Promise<void> {
    if (this.#syncs.isSynced() || this.config.durability === 'none') return;
    try {
      await this.sync();
    } catch (error) {
      // Delivery must not end with a directory that cannot be synced for long.
      if (this.#syncs.failures > MOST_FAILED_SYNCS) return;
      throw storageError('the directory was not synced', error);
    }
  }

  newName(): BatchName {
    // The time of day, so that a person can read it; but never less than the last one, whatever the clock does.
    this.#sequence = Math.min(Math.max(this.#sequence + 1, this.files.wallClock()), LAST_SEQUENCE);
    return { sequence: this.#sequence, nonce: this.files.nonce(), attempts: 0, integrity: this.config.integrity };
  }

  /** Later names come after this one. */
  seen({ sequence }: BatchName): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  /** Files must not become larger than this, in bytes. */
  limitFiles(bytes: number): void {
    this.largestFile = Math.min(this.largestFile, Math.floor(bytes * 0.9));
    this.beginNewFile();
  }

  beginNewFile(): void {
    this.#owner.endBatch();
  }

  hasRoom(bytes: number): boolean {
    if (this.bytes + this.reserved + bytes <= this.config.maxBytes) return true;
    this.measure.soon();
    return false;
  }

  overflow(): OverflowError {
    const { maxBytes } = this.config;
    const message = `full: ${this.bytes} of ${maxBytes} bytes are on disk`;
    return new OverflowError(message, this.bytes + this.reserved, maxBytes);
  }

  /**
   * For lines that were accepted before it was known what is on the disk: a promise to wait for if they do not fit beside
   * that. Nothing waits for these lines, so what is there can be delivered. Throws `OverflowError` if they cannot fit
   * beside `own` bytes of the same file and what is never delivered.
   */
  roomFor(lines: readonly Line<Item>[], own: number): Promise<void> | undefined {
    const { maxBytes } = this.config;
    if (maxBytes === Infinity) return undefined;
    const bytes = sizeOf(lines);
    if (this.bytes + bytes <= maxBytes) return undefined;
    if (this.measure.aside + own + bytes > maxBytes) throw this.overflow();
    this.measure.soon();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  free(bytes: number): void {
    this.bytes -= bytes;
    this.#admit();
  }

  #admit(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Moves a file to a folder, as it is; `moved` is called at once with its name in the directory now. */
  async moveTo(folder: Folder, name: string, moved: (name: string) => void): Promise<void> {
    await this.files.makeDirectory(this.path(folder), true);
    const wanted = folder === QUARANTINE ? `${name}.${this.files.nonce()}.bad` : name;
    const target = join(folder, freeName(this.files, this.path(folder), wanted));
    this.files.rename(this.path(name), this.path(target));
    moved(target);
    this.#syncs.changes++;
    // The move has happened; that it survives power loss is worth no failure: it would be made again.
    await this.sync(folder).catch(() => undefined);
  }
}

/** In a row; after that batches are delivered without a sync of the directory: power loss may then bring back several. */
const MOST_FAILED_SYNCS = 3;

/** Fifteen digits. */
const LAST_SEQUENCE = 999_999_999_999_999;

/** Two looks at the same file; its content may differ. */
export function isSame(a: FileStat, b: FileStat): boolean {
  return a.inode === b.inode && a.device === b.device;
}

export function storageError(message: string, cause: unknown): StorageError | LockedError {
  if (cause instanceof LockedError || cause instanceof StorageError) return cause;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new StorageError(code === undefined ? message : `${message} (${code})`, cause);
}
