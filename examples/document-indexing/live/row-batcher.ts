import { FlushError, PartialFlushError } from 'batch-please';
import { MemoryBatcher } from 'batch-please/collectors';
import type { MemoryBatch } from 'batch-please/collectors';
import { isPermanent } from '../sql-state.js';
import type { ChunkRow, ChunkTable } from './chunk-table.js';

export interface RowBatcherOptions {
  batchSize: number;
  batchAge: number;
  /** Rows of each job that have been stored, by one statement. */
  onStored(rows: ReadonlyMap<string, number>): void;
  /** A row that can never be stored. */
  onRefused(row: ChunkRow, error: unknown): void;
}

/** A batch of long sections is sent before it is full, so that a statement stays some megabytes long. */
const MAX_BATCH_CHARACTERS = 2_000_000;

/** Only this row is to blame; the others of its batch are stored. */
class RefusedRow extends Error {}

/**
 * Stores the rows of all jobs, in bulk. A database that is away is waited for. A row that it
 * refuses delays no other: the batch is split until that row is found, and it is reported to its job.
 */
export class RowBatcher extends MemoryBatcher<ChunkRow> {
  readonly #table: ChunkTable;
  readonly #onStored: RowBatcherOptions['onStored'];
  readonly #onRefused: RowBatcherOptions['onRefused'];

  constructor(table: ChunkTable, { batchSize, batchAge, onStored, onRefused }: RowBatcherOptions) {
    super({
      maxBatchSize: batchSize,
      maxTimeSinceFirstItem: batchAge,
      maxBatchWeight: MAX_BATCH_CHARACTERS,
      weigh: ({ section }) => section.content.length,
      maxPending: 4 * batchSize,
      overflow: 'wait',
      retry: {
        minDelay: 250,
        maxDelay: 5_000,
        delay: ({ error }) => (error instanceof RefusedRow || isPermanent(error) ? false : undefined),
      },
      giveUp: 'split',
    });
    this.#table = table;
    this.#onStored = onStored;
    this.#onRefused = onRefused;
  }

  override async batchFlush({ items }: MemoryBatch<ChunkRow>): Promise<void> {
    const refusals = items.map((row) => this.#table.refusalOf(row));
    const rows = items.filter((_, i) => refusals[i] === undefined);
    if (rows.length > 0) {
      await this.#table.store(rows);
      this.#onStored(countsOf(rows));
    }
    if (rows.length < items.length) {
      throw new PartialFlushError(refusals.map((reason) => reason && new RefusedRow(reason.message)));
    }
  }

  override batchDeadLetter({ items }: MemoryBatch<ChunkRow>, error: unknown): void {
    for (const row of items) this.#onRefused(row, error);
  }

  /** Resolves when every row added so far is stored or refused. */
  async settle(signal: AbortSignal): Promise<void> {
    if (await this.#flushed(signal)) return;
    // What is held has been refused, and nothing else was stored meanwhile, by which these rows would differ from an outage.
    // But only an answer of the database ends the attempts at a batch: so it is the rows.
    this.configure({ giveUp: 'drop' });
    await this.#flushed(signal);
    this.configure({ giveUp: 'split' });
  }

  async #flushed(signal: AbortSignal): Promise<boolean> {
    try {
      await this.flush({ signal });
      return true;
    } catch (error) {
      if (error instanceof FlushError) return false;
      throw error;
    }
  }
}

function countsOf(rows: readonly ChunkRow[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { job } of rows) counts.set(job, (counts.get(job) ?? 0) + 1);
  return counts;
}
