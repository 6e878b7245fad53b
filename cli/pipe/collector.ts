import { BatchPlease, type BatchPleaseOptions, type FlushContext } from '../../src/index.js';
import type { Filled, Piece } from './cutter.js';

/** The content of a batch. */
export interface RecordBatch {
  readonly buffers: Buffer[];
  records: number;
  bytes: number;
  /** Which limit it has reached, if it has. */
  full: Piece['full'];
}

/** Delivers a batch, or takes over one that is given up; the same for both collectors. */
export interface Delivery {
  deliver(batch: RecordBatch, context: FlushContext): Promise<void>;
  /** Takes over a batch that is given up; without it the records are lost, or in the spool's dead/. */
  readonly bury: ((batch: RecordBatch) => void) | undefined;
  /** An attempt, or the work after one. */
  readonly failed: (error: unknown) => void;
}

/** Where pieces go: batches in memory, or in the files of a spool. */
export interface Collector {
  /** The content of the open batch. */
  readonly filled: () => Filled;
  add(piece: Piece): void;
  /** Resolves when more may be read. */
  ready(): Promise<void>;
  /** Records found from earlier runs. */
  open(): Promise<void>;
  /** Delivers what was added, on the schedule of its retries; answers whether everything was delivered. */
  finish(): Promise<boolean>;
  /** Tries what waits for a retry at once. */
  hurry(): void;
}

export type Triggers = Pick<BatchPleaseOptions<Piece, RecordBatch>, 'maxTimeSinceFirstItem' | 'flushInterval'> & {
  readonly flushConcurrency: number;
  readonly retry: { readonly attempts: number; readonly delay: () => false | undefined };
};

/** A piece that completes its batch cuts it. */
export function isComplete({ lastItem }: { readonly lastItem: Piece | undefined }): boolean {
  return lastItem?.full !== undefined;
}

export function emptyBatch(): RecordBatch {
  return { buffers: [], records: 0, bytes: 0, full: undefined };
}

export function join(batch: RecordBatch, piece: Piece): void {
  for (const buffer of piece.buffers) batch.buffers.push(buffer);
  batch.records += piece.records;
  batch.bytes += piece.bytes;
  batch.full = piece.full;
}

class MemoryBatches extends BatchPlease<Piece, RecordBatch> {
  override batchInit(): RecordBatch {
    return emptyBatch();
  }

  override batchAddItem(batch: RecordBatch, piece: Piece): void {
    join(batch, piece);
  }
}

const NOTHING: Filled = emptyBatch();

export function inMemory(triggers: Triggers, delivery: Delivery): Collector {
  const batches = new MemoryBatches({
    ...triggers,
    shouldFlush: isComplete,
    giveUp: 'drop',
    batchFlush: (batch, context) => delivery.deliver(batch, context),
    ...(delivery.bury && { batchDeadLetter: delivery.bury }),
  });
  let wake: (() => void) | undefined;
  const look = (): void => wake?.();
  for (const event of ['flushed', 'failed', 'dropped', 'held'] as const) batches.on(event, look);
  return {
    filled: () => batches.state.batch ?? NOTHING,
    add: (piece) => void batches.addItem(piece),
    open: () => Promise.resolve(),
    ready: async () => {
      // One batch is read while all lanes are busy.
      while (batches.state.batches.length > triggers.flushConcurrency) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    finish: async () => {
      await batches.flush({ hurry: false }).catch(() => undefined); // what is given up has been counted
      await batches.close({ timeout: Infinity }).catch(() => undefined);
      return batches.state.counts.delivered === batches.state.counts.totalItems;
    },
    hurry: () => void batches.flush(),
  };
}
