import { MemoryBatcher } from 'batch-please/collectors';
import type { MemoryBatch } from 'batch-please/collectors';
import type { ChunkRow, ChunkTable } from './chunk-table.js';

export interface RowBatcherOptions {
  batchSize: number;
  batchAge: number;
  /** Rows of each job that have been stored. */
  onStored(rows: ReadonlyMap<string, number>): void;
}

/** A batch of long sections is sent before it is full, so that a statement stays some megabytes long. */
const MAX_BATCH_CHARACTERS = 2_000_000;

/** The rows of all jobs on their way into the table, in bulk. A database that is away is waited for. */
export class RowBatcher extends MemoryBatcher<ChunkRow> {
  readonly #table: ChunkTable;
  readonly #onStored: RowBatcherOptions['onStored'];

  constructor(table: ChunkTable, { batchSize, batchAge, onStored }: RowBatcherOptions) {
    super({
      maxBatchSize: batchSize,
      maxTimeSinceFirstItem: batchAge,
      maxBatchWeight: MAX_BATCH_CHARACTERS,
      weigh: ({ section }) => section.content.length,
      maxPending: 4 * batchSize,
      overflow: 'wait',
      retry: { minDelay: 250, maxDelay: 5_000 },
    });
    this.#table = table;
    this.#onStored = onStored;
  }

  override async batchFlush({ items }: MemoryBatch<ChunkRow>): Promise<void> {
    await this.#table.store(items);
  }

  override batchPostFlush({ items }: MemoryBatch<ChunkRow>): void {
    const stored = new Map<string, number>();
    for (const { job } of items) stored.set(job, (stored.get(job) ?? 0) + 1);
    this.#onStored(stored);
  }
}
