import { STORAGE } from '../src/index.js';
import {
  BatchPlease,
  type BatchPleaseHooks,
  type Clock,
  type CloseOptions,
  ClosedError,
  type FlushContext,
  type FlushOptions,
  OverflowError,
  type Prepared,
  type Storage,
  StorageError,
} from '../src/index.js';
import { BatchFile } from './file/batch-file.js';
import type {
  FileBatch,
  FileBatcherEvents,
  FileBatcherOptions,
  FileBatcherState,
  RecoveryReport,
} from './file/contract.js';
import { type FileSystem, nodeFileSystem } from './file/file-system.js';
import { type Integrity, LONGEST_LINE, OVERHEAD } from './file/format.js';
import { Line } from './file/line.js';
import { baseOptions, spoolConfig } from './file/options.js';
import { type Found, recover } from './file/recovery.js';
import { fileState } from './file/state.js';
import { Spool, type SpoolConfig, storageError } from './file/spool.js';

export type * from './file/contract.js';

type Hooks<Item> = BatchPleaseHooks<Item, FileBatch<Item>>;

/** Looks the globals up at each call, so that test frameworks which replace them are obeyed. */
const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  setTimer: (fn, ms) => setTimeout(fn, Math.min(ms, LONGEST_TIMER)),
  clearTimer: (handle) => {
    clearTimeout(handle as NodeJS.Timeout);
  },
};

/** Beyond this setTimeout fires after one millisecond. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Collects items in files, one item per line, and hands each file to `batchFlush`; it is removed after that. What was
 * stored survives the end of the process, however it ends, and is delivered by the next one: at least once.
 */
export class FileBatcher<Item> extends BatchPlease<Item, FileBatch<Item>, FileBatcherEvents> {
  readonly #spool: Spool<Item>;
  /** The user's. */
  #hooks: Hooks<Item> = {};
  /** With a descriptor, perhaps. */
  readonly #open = new Set<BatchFile<Item>>();
  /** On their way to the sink, by id: the user's hooks may put another state in their place. */
  readonly #inFlight = new Map<string, BatchFile<Item>>();
  /** Whose `batchPostFlush` is done. */
  readonly #posted = new WeakSet<BatchFile<Item>>();
  #opening: Promise<RecoveryReport> | undefined;
  #opened = false;
  #closing = false;
  #ended = false;
  readonly #counts = { quarantined: 0, lost: 0, dead: 0, foundBad: 0, foundDead: 0 };
  #view: FileBatcherState<Item> | undefined;

  /** `files` is for tests: a file system that is none. */
  constructor(options: FileBatcherOptions<Item>, files: FileSystem = nodeFileSystem) {
    super(baseOptions(new.target.name, options));
    const config = spoolConfig(options, options.clock ?? SYSTEM_CLOCK);
    this.#spool = new Spool(config, files, (event, payload, warning) => {
      if (event === 'dead') this.#counts.dead += (payload as FileBatcherEvents['dead']).size;
      this.announce(event, payload, warning);
    });
    this[STORAGE] = this.#storage(config);
  }

  /**
   * Takes the directory, and delivers what earlier lives have left in it; the first add or flush does it by itself.
   *
   * Rejects with `LockedError` if a live process owns the directory, with `StorageError` if it cannot be used, and may
   * then be called again.
   */
  open(): Promise<RecoveryReport> {
    if (this.#opening === undefined) {
      const opening = this.#takeAndRecover();
      opening.catch(() => {
        this.#opening = undefined;
      });
      this.#opening = opening;
    }
    return this.#opening;
  }

  /** As for every collector, once what earlier lives have left is known; rejects as `open` does if it cannot be. */
  override flush(options?: FlushOptions): Promise<void> {
    if (this.#opened || this.#closing) return super.flush(options);
    const flushed = this.open().then(() => super.flush(options));
    flushed.catch(() => undefined); // may be ignored
    return flushed;
  }

  override close(options?: CloseOptions): Promise<void> {
    const closed = super.close(options);
    this.#closing = true;
    return closed;
  }

  override get state(): FileBatcherState<Item> {
    this.#view ??= fileState(super.state, this.#counts, this.#spool);
    return this.#view;
  }

  // Beginning and end

  async #takeAndRecover(): Promise<RecoveryReport> {
    if (this.#ended) throw new ClosedError('it is closed');
    await this.#spool.take();
    try {
      const report = await recover(
        this.#spool,
        (found) => this.#take(found),
        () => this.#ended,
      );
      this.#counts.foundBad += report.badLines;
      this.#opened = true;
      this.announce('recovered', report);
      return report;
    } catch (error) {
      await this.#spool.release();
      throw storageError('the directory cannot be used', error);
    }
  }

  /** Delivery begins while the rest is still being read. */
  async #take(found: Found): Promise<void> {
    const batch = new BatchFile(this.#spool, found);
    const { attempts } = batch;
    if (attempts >= this.#spool.config.maxAttempts) {
      this.#counts.foundDead += batch.size;
      await batch.bury(new Error('its last attempt did not end'));
    } else if (!this.#ended) {
      this.adopt(batch, batch.size, attempts);
      this.look();
    }
  }

  async #end(): Promise<void> {
    this.#ended = true;
    await this.#opening?.catch(() => undefined);
    this.#spool.free(0); // nobody waits for room any more
    const released = await Promise.allSettled([...this.#open].map((batch) => batch.release()));
    try {
      await this.#spool.syncNames();
    } finally {
      await this.#spool.release();
    }
    for (const result of released) {
      if (result.status === 'rejected') throw storageError('a file was not synced', result.reason);
    }
  }

  // Items

  #storage({ encode, integrity, maxBytes, maxAttempts }: SpoolConfig<Item>): Storage<Item, FileBatch<Item>> {
    const spool = this.#spool;
    return {
      begin: (hooks) => {
        this.#hooks = hooks;
        return this.#ownHooks();
      },
      prepare: (item) => {
        const text = encode(item);
        checkText(text, integrity);
        const bytes = maxBytes === Infinity ? 0 : Buffer.byteLength(text) + OVERHEAD[integrity];
        if (bytes > maxBytes) throw new OverflowError(`larger than ${maxBytes} bytes`, bytes, maxBytes);
        return new Line(item, text, bytes);
      },
      hasRoom: (entry) => maxBytes === Infinity || spool.hasRoom(lineIn(entry).bytes),
      overflow: () => spool.overflow(),
      accepted: (entry) => {
        spool.reserved += lineIn(entry).bytes;
      },
      refused: (entry) => {
        const line = lineIn(entry);
        line.refused = true;
        spool.reserved -= line.bytes;
      },
      attempted: (batch) => fileOf(batch).attempting,
      givesUp: (batch) => fileOf(batch).gone || fileOf(batch).attempts >= maxAttempts,
      discard: (batch) => {
        this.#remove(fileOf(batch));
      },
      end: () => this.#end(),
    };
  }

  #newBatch(): BatchFile<Item> {
    const batch = new BatchFile(this.#spool);
    this.#open.add(batch);
    return batch;
  }

  // Batches

  #ownHooks(): Hooks<Item> {
    return {
      batchInit: () => {
        if (this.#opened) return this.#newBatch();
        return this.open().then(() => this.#newBatch());
      },
      batchAddItems: (batch, lines) => {
        return fileOf(batch).append(lines as unknown as readonly Line<Item>[]); // made by prepare
      },
      batchId: (batch) => batch.id,
      batchPreFlush: (batch, context) => this.#preFlush(fileOf(batch), context),
      batchPostFlush: (state, context) => this.#postFlush(state, context),
      batchDeadLetter: async (batch, error) => {
        await fileOf(batch).bury(error);
        this.#letGo(fileOf(batch));
        await this.#hooks.batchDeadLetter?.call(this, batch, error);
      },
      batchTerminate: async (batch) => {
        try {
          await this.#hooks.batchTerminate?.call(this, batch);
        } finally {
          if (batch !== undefined) await fileOf(batch).release();
        }
      },
    };
  }

  async #preFlush(batch: BatchFile<Item>, context: FlushContext): Promise<FileBatch<Item> | void> {
    this.#inFlight.set(context.id, batch);
    batch.attempting = false;
    const sealed = await batch.seal();
    this.#open.delete(batch);
    if (!sealed) throw new StorageError('nothing of the batch is left');
    await this.#spool.syncNames();
    if (context.signal.aborted) throw new StorageError('the disk took longer than an attempt may');
    batch.beginAttempt();
    return this.#hooks.batchPreFlush?.call(this, batch, context);
  }

  /** The user's first, while the file is still there; it goes whatever that says, since it is delivered. */
  async #postFlush(state: FileBatch<Item>, context: FlushContext): Promise<void> {
    const batch = this.#inFlight.get(context.id);
    if (batch === undefined) return;
    try {
      if (!this.#posted.has(batch)) await this.#hooks.batchPostFlush?.call(this, state, context);
      this.#posted.add(batch);
    } finally {
      if (!batch.over) {
        this.#remove(batch);
        this.#counts.quarantined += batch.badLines.size;
        this.#counts.lost += batch.lost;
      }
    }
    this.#letGo(batch);
  }

  #remove(batch: BatchFile<Item>): void {
    batch.remove();
    this.#open.delete(batch);
  }

  #letGo(batch: BatchFile<Item>): void {
    this.#open.delete(batch);
    this.#inFlight.delete(batch.id);
  }
}

/** Throws unless the text can stand in a line, and come back from it as it is. */
function checkText(text: unknown, integrity: Integrity): asserts text is string {
  if (typeof text !== 'string') throw new TypeError(`encode must give a string, and gave ${typeof text}`);
  if (text.includes('\n')) throw new TypeError('the text of an item must not contain a newline');
  if (text === '' && integrity === 'none') throw new TypeError('the text of an item must not be empty');
  if (!(text as WellFormed).isWellFormed()) throw new TypeError('the text of an item must be well-formed Unicode');
  if (text.length > LONGEST_TEXT && Buffer.byteLength(text) > LONGEST_TEXT * 3) throw new RangeError('it is too long');
}

/** In Node from 20 on; TypeScript has it in a later library than ours. */
type WellFormed = string & { isWellFormed(): boolean };

/** Of UTF-16; each unit is at most three bytes. */
const LONGEST_TEXT = Math.floor((LONGEST_LINE - 64) / 3);

/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- every batch and every entry is made here */
function fileOf<Item>(batch: FileBatch<Item>): BatchFile<Item> {
  return batch as BatchFile<Item>;
}

function lineIn<Item>(entry: Prepared<Item>): Line<Item> {
  return entry as Line<Item>;
}
