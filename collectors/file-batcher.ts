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
import { OVERHEAD } from './file/format.js';
import { Line } from './file/line.js';
import { baseOptions, spoolConfig } from './file/options.js';
import { type Found, type Names, findNames, recover } from './file/recovery.js';
import { Sealing } from './file/sealing.js';
import { Spool, type SpoolConfig, storageError } from './file/spool.js';
import { fileState, noCounts } from './file/state.js';
import { SyncAhead } from './file/sync-ahead.js';
import { checkText } from './file/text.js';

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

/** Milliseconds that the end of `close` may take when its time is up: enough for a disk that answers. */
const END_GRACE = 1000;

/**
 * Collects items in files, one item per line, and hands each file to `batchFlush`; it is removed after that. Stored items
 * survive the end of the process, however it ends, and are delivered by the next one: at least once.
 *
 * @example
 * const batcher = new FileBatcher<Order>({
 *   batchDirectory: '/var/lib/shop/orders',
 *   maxBatchSize: 1000,
 *   async batchFlush(batch, { id }) {
 *     const orders: Order[] = [];
 *     for await (const order of batch.items()) orders.push(order);
 *     await bill(orders, id); // the id is the same in every attempt, also after a restart
 *   },
 * });
 * await batcher.syncAddItem(order); // stored
 */
export class FileBatcher<Item> extends BatchPlease<Item, FileBatch<Item>, FileBatcherEvents> {
  readonly #spool: Spool<Item>;
  readonly #clock: Clock;
  /** The user's. */
  #hooks: Hooks<Item> = {};
  readonly #sealing = new Sealing<Item>();
  readonly #ahead = new SyncAhead<Item>();
  /** In delivery, by id: the user's hooks may put another state in their place. */
  readonly #inFlight = new Map<string, BatchFile<Item>>();
  /** Cleared batches whose files are being moved. */
  readonly #returning = new Set<Promise<void>>();
  /** Their `batchPostFlush` is done. */
  readonly #posted = new WeakSet<BatchFile<Item>>();
  /** The directory is ours, and the names in it are known. */
  #ready: Promise<Names> | undefined;
  #opening: Promise<RecoveryReport> | undefined;
  #isReady = false;
  #opened = false;
  #closing = false;
  #ended = false;
  /** By the clock: when the time of `close` is up. */
  #closeBy = Infinity;
  readonly #counts = noCounts();
  #view: FileBatcherState<Item> | undefined;

  /**
   * `files` is for tests: a file system that is none.
   *
   * @throws OptionsError with the name of the option that is wrong.
   */
  constructor(options: FileBatcherOptions<Item>, files: FileSystem = nodeFileSystem) {
    super(baseOptions(new.target.name, options));
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    const config = spoolConfig(options, this.#clock);
    this.#spool = new Spool(config, files, {
      tell: (event, payload, warning) => {
        this.announce(event, payload, warning);
      },
      endBatch: () => {
        queueMicrotask(() => {
          super.flush({ hurry: false }).catch(() => undefined);
        });
      },
      look: () => {
        this.look();
      },
    });
    this[STORAGE] = this.#storage(config);
  }

  /**
   * Takes the directory, and delivers what earlier processes have left in it; the first add or flush calls it. Adds wait
   * until the directory is taken, and not until everything in it is read.
   *
   * @throws LockedError if a live process owns the directory, StorageError if it cannot be used; it may then be called
   * again.
   */
  open(): Promise<RecoveryReport> {
    if (this.#opening === undefined) {
      const opening = this.#takeDirectory().then((names) => this.#recover(names));
      opening.catch(() => {
        this.#opening = undefined;
      });
      this.#opening = opening;
    }
    return this.#opening;
  }

  /** As for every collector, once it is known what earlier processes have left; rejects as `open` does if it cannot be. */
  override flush(options?: FlushOptions): Promise<void> {
    if (this.#opened || this.#closing) return super.flush(options);
    const flushed = this.open().then(() => super.flush(options));
    flushed.catch(() => undefined); // may be ignored
    return flushed;
  }

  override close(options?: CloseOptions): Promise<void> {
    const closed = super.close(options);
    if (!this.#closing) this.#closeBy = this.#clock.now() + (options?.timeout ?? 30_000);
    this.#closing = true;
    return closed;
  }

  /**
   * As for every collector. The files of the batches are moved to `returned/`, are not delivered any more, and belong to
   * the caller, who may read them with `items()` and removes them.
   */
  override clear(): FileBatch<Item>[] {
    const batches = super.clear();
    for (const batch of batches) {
      const file = fileOf(batch);
      this.#letGo(file);
      const returning = file
        .giveBack()
        .catch((error: unknown) => {
          const { id, filename } = file;
          this.announce('unreadable', { filename, error }, `batch ${id} was cleared, and its file cannot be moved`);
        })
        .finally(() => this.#returning.delete(returning));
      this.#returning.add(returning);
    }
    return batches;
  }

  override get state(): FileBatcherState<Item> {
    this.#view ??= fileState(super.state, this.#counts, this.#spool);
    return this.#view;
  }

  // Beginning and end

  #takeDirectory(): Promise<Names> {
    if (this.#ready === undefined) {
      const ready = this.#take();
      ready.catch(() => {
        this.#ready = undefined;
      });
      this.#ready = ready;
    }
    return this.#ready;
  }

  async #take(): Promise<Names> {
    if (this.#ended) throw new ClosedError('it is closed');
    await this.#spool.take();
    try {
      const names = await findNames(this.#spool);
      if (this.#spool.config.maxBytes < Infinity) await this.#spool.measure.look();
      else void this.#spool.measure.look();
      this.recovering(names.batches.length > 0);
      this.#isReady = true;
      return names;
    } catch (error) {
      await this.#spool.release();
      throw storageError('the directory cannot be used', error);
    }
  }

  async #recover(names: Names): Promise<RecoveryReport> {
    // The next batch that begins waits for it.
    void this.#spool.syncFound();
    const report = await recover(
      this.#spool,
      names,
      (found) => this.#adopt(found),
      () => this.#ended,
    ).finally(() => {
      this.recovering(false);
    });
    this.#counts.foundBad += report.badLines;
    this.#opened = true;
    this.announce('recovered', report);
    return report;
  }

  /** Delivery begins while the rest is still being read. */
  async #adopt(found: Found): Promise<void> {
    const batch = new BatchFile(this.#spool, found);
    const { attempts, size } = batch;
    if (attempts >= this.#spool.config.maxAttempts) {
      this.#counts.foundDead += size;
      await batch.bury(new Error('its last attempt did not end'));
    } else if (!this.#ended) {
      this.#ahead.add(batch);
      this.adopt(batch, size, attempts);
      this.look();
    }
  }

  /** Ends in bounded time, also when the disk does not answer: then its files stay as they are, for the next process. */
  async #end(): Promise<void> {
    this.#ended = true;
    this.#ahead.stop();
    const limit = Math.max(this.#closeBy - this.#clock.now(), END_GRACE);
    let timer: unknown;
    const late = new Promise<'late'>((resolve) => {
      timer = this.#clock.setTimer(() => {
        resolve('late');
      }, limit);
    });
    try {
      const end = await Promise.race([this.#release(), late]);
      if (end === 'late') throw new StorageError(`the disk has not answered for ${limit} ms`);
    } finally {
      this.#clock.clearTimer(timer);
      await Promise.race([this.#spool.release(true), late]);
    }
  }

  async #release(): Promise<void> {
    await this.#opening?.catch(() => undefined);
    this.#spool.free(0); // no caller waits for room any more
    for (const batch of this.#inFlight.values()) batch.endAttempt();
    await Promise.all([this.#sealing.release(), ...this.#returning]);
    await this.#spool.syncNames();
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
      givesUp: (batch) => fileOf(batch).remains.gone || fileOf(batch).attempts >= maxAttempts,
      discard: async (batch) => {
        const file = fileOf(batch);
        this.#letGo(file);
        await file.remove();
      },
      end: () => this.#end(),
    };
  }

  #newBatch(): BatchFile<Item> | Promise<BatchFile<Item>> {
    const batch = new BatchFile(this.#spool);
    const room = this.#sealing.begin(batch);
    return room === undefined ? batch : room.then(() => batch);
  }

  // Batches

  #ownHooks(): Hooks<Item> {
    return {
      batchInit: () => {
        if (this.#isReady) return this.#newBatch();
        // Its failure refuses the item that waits for it.
        this.open().catch(() => undefined);
        return this.#takeDirectory().then(() => this.#newBatch());
      },
      batchAddItems: (batch, lines) => {
        return fileOf(batch).append(lines as unknown as readonly Line<Item>[]); // made by prepare
      },
      batchId: (batch) => batch.id,
      batchPreFlush: (batch, context) => this.#preFlush(fileOf(batch), context),
      batchPostFlush: (state, context) => this.#postFlush(state, context),
      batchSplit: (batch, indexes) => fileOf(batch).split(indexes),
      batchDeadLetter: (batch, error) => this.#deadLetter(fileOf(batch), error),
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
    this.#ahead.forget(batch);
    batch.attempting = false;
    await batch.seal();
    this.#sealing.forget(batch);
    await this.#spool.ensure();
    // Delivery matters more than a sync that fails: it frees the disk.
    await batch.syncFound().catch((error: unknown) => {
      const { id, size } = batch;
      this.#spool.tell('unsynced', { id, size, error }, `batch ${id} is delivered without being on the disk`);
    });
    await batch.verify();
    await this.#spool.syncNames();
    if (context.signal.aborted) throw new StorageError('the disk took longer than an attempt may');
    batch.beginAttempt(context.signal);
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
        await batch.remove();
        const { quarantined, lost } = batch.remains.missing;
        this.#counts.quarantined += quarantined;
        this.#counts.lost += lost;
      }
    }
    this.#letGo(batch);
  }

  async #deadLetter(batch: BatchFile<Item>, error: unknown): Promise<void> {
    if (!batch.over) {
      await batch.bury(error);
      const { quarantined, lost } = batch.remains.missing;
      this.#counts.goneQuarantined += quarantined;
      this.#counts.goneLost += lost;
      if (!batch.remains.gone) this.#counts.dead += batch.size;
    }
    this.#letGo(batch);
    await this.#hooks.batchDeadLetter?.call(this, batch, error);
  }

  #letGo(batch: BatchFile<Item>): void {
    this.#sealing.forget(batch);
    this.#ahead.forget(batch);
    this.#inFlight.delete(batch.id);
  }
}

/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- every batch and every entry is made here */
function fileOf<Item>(batch: FileBatch<Item>): BatchFile<Item> {
  return batch as BatchFile<Item>;
}

function lineIn<Item>(entry: Prepared<Item>): Line<Item> {
  return entry as Line<Item>;
}
