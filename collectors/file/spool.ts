import { join } from 'node:path';
import { LockedError, OverflowError, StorageError, type Clock } from '../../src/index.js';
import type { Durability, FileBatcherEvents } from './contract.js';
import { Encoder } from './encoder.js';
import type { FileSystem, OpenFile } from './file-system.js';
import { type BatchName, DEAD, type Integrity, QUARANTINE } from './format.js';
import { type Line, sizeOf } from './line.js';
import type { Lock } from './lock.js';
import { Writer, discard } from './writing.js';

/** The options in force; `Infinity` is "none". */
export interface SpoolConfig<Item> {
  readonly directory: string;
  readonly encode: (item: Item) => unknown;
  readonly decode: (text: string) => Item;
  readonly durability: Durability;
  readonly syncInterval: number;
  readonly integrity: Integrity;
  readonly maxBytes: number;
  readonly maxAttempts: number;
  readonly clock: Clock;
}

export type Tell = <Name extends keyof FileBatcherEvents>(
  event: Name,
  payload: FileBatcherEvents[Name],
  warning?: string,
) => void;

/** The directory of one batcher: its lock, its names, and how much is in it. */
export class Spool<Item> {
  /** Bytes on disk, `quarantine/` and `dead/` included. */
  bytes = 0;
  /** Those of them that are in `quarantine/` and `dead/`. */
  aside = 0;
  /** Bytes of lines that were accepted and are not written yet. */
  reserved = 0;
  readonly encoder = new Encoder();
  #lock: Lock | undefined;
  #sequence = 0;
  /** Names that were removed or found, and how many of these changes survive power loss. */
  #changes = 0;
  #syncedChanges = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(
    readonly config: SpoolConfig<Item>,
    readonly files: FileSystem,
    readonly tell: Tell,
  ) {}

  /** Takes the directory; rejects with `LockedError` or `StorageError`. */
  async take(): Promise<void> {
    const { directory, durability } = this.config;
    try {
      await this.files.makeDirectory(directory, durability !== 'none');
      this.#lock = await this.files.lock(directory);
    } catch (error) {
      throw storageError(`the directory ${directory} cannot be used`, error);
    }
  }

  async release(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    await lock?.release();
  }

  /** The directory was deleted: makes it anew, and takes it, unless somebody else has meanwhile. */
  async ensure(): Promise<void> {
    if (this.#lock?.held() === true) return;
    await this.release();
    await this.take();
  }

  path(name: string): string {
    return join(this.config.directory, name);
  }

  async sync(folder = ''): Promise<void> {
    const changes = this.#changes;
    await this.files.syncDirectory(join(this.config.directory, folder));
    if (folder === '') this.#syncedChanges = Math.max(this.#syncedChanges, changes);
  }

  remove(name: string): void {
    this.files.remove(this.path(name));
    this.#changes++;
  }

  /** Removes what is of no use any more, whatever state it is in. */
  discard(file: OpenFile, name: string): void {
    discard(this.files, file, this.path(name));
    this.#changes++;
  }

  /** The names may be as young as what is in the files; what fails here is tried again before a batch is begun. */
  async syncFound(): Promise<void> {
    this.#changes++;
    await this.syncNames().catch(() => undefined);
  }

  /**
   * Power loss would undo what was removed, and have it delivered again: that is for one batch to bear, so the next is
   * not begun before.
   */
  async syncNames(): Promise<void> {
    if (this.#syncedChanges === this.#changes || this.config.durability === 'none') return;
    try {
      await this.sync();
    } catch (error) {
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

  hasRoom(bytes: number): boolean {
    return this.bytes + this.reserved + bytes <= this.config.maxBytes;
  }

  overflow(): OverflowError {
    const { maxBytes } = this.config;
    const message = `full: ${this.bytes} of ${maxBytes} bytes are on disk`;
    return new OverflowError(message, this.bytes + this.reserved, maxBytes);
  }

  /**
   * Lines that were accepted before it was known what earlier lives have left: a promise to wait for if they do not fit
   * beside that. Nothing waits for these lines, so what is there can be delivered. Throws `OverflowError` if they cannot
   * fit beside `own` bytes of the same file and what is never delivered.
   */
  roomFor(lines: readonly Line<Item>[], own: number): Promise<void> | undefined {
    const { maxBytes } = this.config;
    if (maxBytes === Infinity) return undefined;
    const bytes = sizeOf(lines);
    if (this.bytes + bytes <= maxBytes) return undefined;
    if (this.aside + own + bytes > maxBytes) throw this.overflow();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  free(bytes: number): void {
    this.bytes -= bytes;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Moves a file to `dead/`, as it is; answers where in the directory it is now. */
  async bury(name: string): Promise<string> {
    await this.files.makeDirectory(join(this.config.directory, DEAD), true);
    this.files.rename(this.path(name), this.path(join(DEAD, name)));
    // The move has happened; that it survives power loss is worth no failure: it would be made again.
    await this.sync(DEAD).catch(() => undefined);
    return join(DEAD, name);
  }

  quarantine(name: string): Quarantine<Item> {
    return new Quarantine(this, name);
  }
}

/** Fifteen digits. */
const LAST_SEQUENCE = 999_999_999_999_999;

/** A copy of the bytes of one file that are no good lines; it is made with the first of them. */
export class Quarantine<Item> {
  lines = 0;
  bytes = 0;
  readonly #spool: Spool<Item>;
  readonly #path: string;
  #file: OpenFile | undefined;
  #writer: Writer | undefined;

  constructor(spool: Spool<Item>, name: string) {
    this.#spool = spool;
    this.#path = join(spool.config.directory, QUARANTINE, `${name}.${spool.files.nonce()}.bad`);
  }

  async add(bytes: Uint8Array, lines = 1): Promise<void> {
    if (this.#writer === undefined) {
      await this.#spool.files.makeDirectory(join(this.#spool.config.directory, QUARANTINE), true);
      this.#file = this.#spool.files.create(this.#path);
      this.#writer = new Writer(this.#file);
    }
    await this.#writer.add(bytes);
    this.lines += lines;
    this.bytes += bytes.byteLength;
  }

  /** The copy is on the disk when it resolves; only then may the bytes go. */
  async finish(id: string): Promise<void> {
    if (this.#writer === undefined) return;
    await this.#writer.finish();
    this.#file?.close();
    this.#writer = undefined;
    await this.#spool.sync(QUARANTINE);
    this.#spool.aside += this.bytes;
    this.#spool.bytes += this.bytes;
    const { lines, bytes } = this;
    const filename = this.#path;
    this.#spool.tell('quarantined', { id, lines, bytes, filename }, `damaged lines were moved to ${filename}`);
  }

  /** What there is of the copy is removed again. */
  abandon(): void {
    if (this.#writer !== undefined) discard(this.#spool.files, this.#file, this.#path);
    this.#writer = undefined;
  }
}

export function storageError(message: string, cause: unknown): StorageError | LockedError {
  if (cause instanceof LockedError || cause instanceof StorageError) return cause;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new StorageError(code === undefined ? message : `${message} (${code})`, cause);
}
