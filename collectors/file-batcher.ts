import { STORAGE } from '../src/index.js';
import {
  BatchPlease,
  type Clock,
  type CloseOptions,
  ClosedError,
  type FlushOptions,
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
import { Delivery } from './file/delivery.js';
import { type FileSystem, nodeFileSystem } from './file/file-system.js';
import { baseOptions, spoolConfig } from './file/options.js';
import { type Found, type Names, findNames, recover } from './file/recovery.js';
import { Spool, storageError } from './file/spool.js';
import { fileState } from './file/state.js';
import { storageOf } from './file/storage.js';

export type * from './file/contract.js';

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
  readonly #delivery: Delivery<Item>;
  /** The directory is ours, and the names in it are known. */
  #ready: Promise<Names> | undefined;
  #opening: Promise<RecoveryReport> | undefined;
  #isReady = false;
  #opened = false;
  #closing = false;
  #ended = false;
  /** By the clock: when the time of `close` is up. */
  #closeBy = Infinity;
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
      report: (event, payload, warning) => {
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
    this.#delivery = new Delivery(this.#spool, this);
    this[STORAGE] = storageOf(this.#spool, this.#delivery, {
      begin: (hooks) => this.#delivery.hooks(hooks, () => this.#untilReady()),
      end: () => this.#end(),
    });
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
    for (const batch of batches) this.#delivery.giveBack(batch);
    return batches;
  }

  override get state(): FileBatcherState<Item> {
    this.#view ??= fileState(super.state, this.#delivery.counts, this.#spool);
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
    const listed = await this.#spool.take();
    try {
      const names = await findNames(this.#spool, listed);
      if (this.#spool.config.maxBytes < Infinity) await this.#spool.measure.look();
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
    // Adds need not wait for it where nothing is bounded.
    const { measure, config } = this.#spool;
    const counted = config.maxBytes < Infinity || measure.look();
    const report = await recover(
      this.#spool,
      names,
      (found) => this.#adopt(found),
      () => this.#ended,
    ).finally(() => {
      this.recovering(false);
    });
    if (!(await counted)) await measure.look();
    this.#delivery.counts.foundBad += report.badLines;
    this.#opened = true;
    this.announce('recovered', report);
    return report;
  }

  /** Delivery begins while the rest is still being read. */
  async #adopt(found: Found): Promise<boolean> {
    const batch = new BatchFile(this.#spool, found);
    const { attempts, size } = batch;
    if (attempts >= this.#spool.config.maxAttempts) {
      await batch.moveToDead(new Error('its last attempt did not end'));
      this.#delivery.counts.foundDead += batch.size; // of one that has vanished nothing is there
      return false;
    }
    if (!this.#ended) {
      this.#delivery.found(batch);
      this.adopt(batch, size, attempts);
      this.look();
    }
    return true;
  }

  /** Ends in bounded time, also when the disk does not answer: then its files stay as they are, for the next process. */
  async #end(): Promise<void> {
    this.#ended = true;
    this.#delivery.stop();
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
    await this.#delivery.release();
    await this.#spool.syncNames();
  }

  /** Until a file may be begun: a failure refuses the item that waits for it. */
  #untilReady(): Promise<Names> | undefined {
    if (this.#isReady) return undefined;
    this.open().catch(() => undefined);
    return this.#takeDirectory();
  }
}
