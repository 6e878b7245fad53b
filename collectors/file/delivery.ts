import { type BatchPleaseHooks, type FlushContext, LockedError, StorageError } from '../../src/index.js';
import { BatchFile } from './batch-file.js';
import type { FileBatch } from './contract.js';
import type { Line } from './line.js';
import { Sealing } from './sealing.js';
import type { Spool } from './spool.js';
import { type Counts, noCounts } from './state.js';
import { SyncAhead } from './sync-ahead.js';
import { isMissing } from './writing.js';

export type Hooks<Item> = BatchPleaseHooks<Item, FileBatch<Item>>;

/** Reads of attempts that are over: Node has four threads for files, and more of them would only take descriptors. */
const MOST_ABANDONED = 4;

/** The batches from their first item to their end: what happens to their files around the user's hooks. */
export class Delivery<Item> {
  readonly counts: Counts = noCounts();
  readonly #spool: Spool<Item>;
  /** `this` of the user's hooks. */
  readonly #batcher: object;
  #users: Hooks<Item> = {};
  readonly #ahead = new SyncAhead<Item>();
  readonly #sealing = new Sealing<Item>((batch) => {
    if (batch.file.isDoubtful) this.#ahead.add(batch);
  });
  /** By id: the user's hooks may put another state in their place. */
  readonly #inFlight = new Map<string, BatchFile<Item>>();
  /** Cleared batches whose files are being moved. */
  readonly #returning = new Set<Promise<void>>();
  /** The batches that `close` leaves behind. */
  readonly #left: BatchFile<Item>[] = [];
  /** Their `batchPostFlush` has begun, and their file is there. */
  readonly #delivered = new Set<BatchFile<Item>>();
  /** Their `batchPostFlush` is done. */
  readonly #posted = new WeakSet<BatchFile<Item>>();
  /** Items that were counted as missing from them. */
  readonly #missing = new WeakMap<BatchFile<Item>, { quarantined: number; lost: number }>();
  /** They are counted as dead. */
  readonly #countedAsDead = new WeakSet<BatchFile<Item>>();

  constructor(spool: Spool<Item>, batcher: object) {
    this.#spool = spool;
    this.#batcher = batcher;
  }

  /** Ours, which call the user's; `ready` answers with a promise until a file may be begun. */
  hooks(users: Hooks<Item>, ready: () => Promise<unknown> | undefined): Hooks<Item> {
    this.#users = users;
    return {
      batchInit: () => ready()?.then(() => this.#newBatch()) ?? this.#newBatch(),
      batchAddItems: (batch, lines) => {
        return fileOf(batch).append(lines as unknown as readonly Line<Item>[]); // made by prepare
      },
      batchId: (batch) => batch.id,
      batchPreFlush: (batch, context) => this.#preFlush(fileOf(batch), context),
      batchPostFlush: (state, context) => this.#postFlush(state, context),
      batchSplit: (batch, indexes) => {
        const part = fileOf(batch).split(indexes);
        this.#inFlight.set(part.id, part); // one that is given up at once is being written as well when we close
        return part;
      },
      batchDeadLetter: (batch, error) => this.#deadLetter(fileOf(batch), error),
      batchTerminate: (batch) => {
        if (batch !== undefined) {
          this.#sealing.forget(fileOf(batch));
          this.#left.push(fileOf(batch));
        }
        return users.batchTerminate?.call(this.#batcher, batch);
      },
    };
  }

  #newBatch(): BatchFile<Item> | Promise<BatchFile<Item>> {
    const batch = new BatchFile(this.#spool);
    const room = this.#sealing.begin(batch);
    return room === undefined ? batch : room.then(() => batch);
  }

  /** A batch that was found; it is synced in the background. */
  found(batch: BatchFile<Item>): void {
    this.#ahead.add(batch);
  }

  /** No other file is synced ahead. */
  stop(): void {
    void this.#ahead.stop();
  }

  /** Every file stays, sealed where that is possible. */
  async release(): Promise<void> {
    for (const batch of this.#inFlight.values()) batch.endAttempt();
    // Some in flight are being moved to dead/, for which they need a file of their own.
    const left = [...new Set([...this.#left, ...this.#inFlight.values()])].map((batch) => this.#leave(batch));
    await Promise.all([...left, this.#sealing.release(), this.#ahead.stop(), ...this.#returning]);
    await this.#ahead.finish();
  }

  async #leave(batch: BatchFile<Item>): Promise<void> {
    // The user's batchPostFlush has not ended, and perhaps never will: the next process is not to deliver it again.
    if (this.#delivered.has(batch)) await this.#remove(batch).catch(() => undefined);
    await batch.release();
    await batch.share.stopped();
  }

  /** The batch was dropped. */
  async discard(batch: FileBatch<Item>): Promise<void> {
    const file = fileOf(batch);
    this.#forget(file);
    await file.remove();
  }

  /** The batch was cleared: its file becomes the caller's. */
  giveBack(batch: FileBatch<Item>): void {
    const file = fileOf(batch);
    this.#forget(file);
    const returning = file
      .giveBack()
      .then(() => {
        this.#ahead.addLast(file); // many may be cleared at once, and each sync takes a descriptor
      })
      .catch((error: unknown) => {
        const { id, filename } = file;
        this.#spool.report('unreadable', { filename, error }, `batch ${id} was cleared, and its file cannot be moved`);
        this.#left.push(file); // it stays, for the next process
        this.#ahead.failed(file);
      })
      .finally(() => this.#returning.delete(returning));
    this.#returning.add(returning);
  }

  async #preFlush(batch: BatchFile<Item>, context: FlushContext): Promise<FileBatch<Item> | void> {
    this.#inFlight.set(context.id, batch);
    this.#ahead.forget(batch);
    batch.attempting = false;
    await batch.seal();
    this.#sealing.forget(batch);
    await this.#spool.ensure().catch((error: unknown) => {
      // No directory can be made: the descriptor leads to the items still, and no other process can have them.
      if (batch.file.source === undefined || error instanceof LockedError) throw error;
    });
    if (this.#spool.abandonedReads >= MOST_ABANDONED) {
      throw new StorageError('the disk has not answered the reads of earlier attempts');
    }
    // Delivery matters more than a sync that fails: it frees the disk.
    await batch.sync().catch((error: unknown) => {
      this.#ahead.failed(batch);
      // A file that was removed is reported below.
      if (isMissing(error)) return;
      const { id, size } = batch;
      this.#spool.report('unsynced', { id, size, error }, `batch ${id} is delivered without being on the disk`);
    });
    await batch.verify();
    await this.#spool.syncNames();
    if (context.signal.aborted) throw new StorageError('the disk took longer than an attempt may');
    batch.beginAttempt(context.signal);
    return this.#users.batchPreFlush?.call(this.#batcher, batch, context);
  }

  /** The user's first, while the file is still there; it goes whatever that says, since it is delivered. */
  async #postFlush(state: FileBatch<Item>, context: FlushContext): Promise<void> {
    const batch = this.#inFlight.get(context.id);
    if (batch === undefined) return;
    this.#delivered.add(batch);
    // The end of `close` may cut short what follows. Lines that are in the file only go to `quarantine/` with it.
    if (!batch.over) this.#countMissing(batch, batch.file.unsafe);
    try {
      if (!this.#posted.has(batch)) await this.#users.batchPostFlush?.call(this.#batcher, state, context);
      this.#posted.add(batch);
    } finally {
      await this.#remove(batch);
    }
    this.#forget(batch);
  }

  async #remove(batch: BatchFile<Item>): Promise<void> {
    if (batch.over) return;
    await batch.remove();
    this.#countMissing(batch, false);
  }

  /** Counts what the sink did not get of a batch that is delivered; `kept`: what is in no copy is not lost. */
  #countMissing(batch: BatchFile<Item>, kept: boolean): void {
    const missing = batch.remains.missing;
    const before = this.#missing.get(batch) ?? { quarantined: 0, lost: 0 };
    const lost = kept ? 0 : missing.lost;
    const quarantined = missing.quarantined + missing.lost - lost;
    if (quarantined + lost + before.quarantined + before.lost === 0) return;
    this.counts.quarantined += quarantined - before.quarantined;
    this.counts.lost += lost - before.lost;
    this.#missing.set(batch, { quarantined, lost });
  }

  async #deadLetter(batch: BatchFile<Item>, error: unknown): Promise<void> {
    try {
      await batch.moveToDead(error); // that of an earlier call may be under way, and decides what is counted
    } finally {
      // The items of a batch of which nothing is left are lost, whatever is at its name.
      if (batch.over || batch.remains.isEmpty) this.#countDead(batch);
    }
    this.#forget(batch);
    await this.#ahead.sync(batch); // no later attempt does
    await this.#users.batchDeadLetter?.call(this.#batcher, batch, error);
  }

  /** Once for each batch: a call that took too long may still run when the next one begins, and both come here. */
  #countDead(batch: BatchFile<Item>): void {
    if (this.#countedAsDead.has(batch)) return;
    this.#countedAsDead.add(batch);
    const { quarantined, lost } = batch.remains.missing;
    this.counts.givenUpQuarantined += quarantined;
    this.counts.givenUpLost += lost;
    if (!batch.remains.isEmpty) this.counts.dead += batch.size;
  }

  #forget(batch: BatchFile<Item>): void {
    this.#sealing.forget(batch);
    this.#ahead.forget(batch);
    this.#delivered.delete(batch);
    this.#inFlight.delete(batch.id);
  }
}

/** Every batch of a FileBatcher is made here, or from a file that was found. */
export function fileOf<Item>(batch: FileBatch<Item>): BatchFile<Item> {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- see above
  return batch as BatchFile<Item>;
}
