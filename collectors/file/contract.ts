import type { BatchPleaseOptions, BatchPleaseState } from '../../src/index.js';

/** What the batch hooks are given: a file of its own, one item per line. */
export interface FileBatch<Item> {
  /** Of no other batch, also after a restart: an idempotency key. */
  readonly id: string;
  /** The file as it is: for an upload or a bulk load. It is renamed between attempts. */
  readonly filename: string;
  /** Items. */
  readonly size: number;
  readonly bytes: number;
  /** Reads them from the file, a piece at a time. Lines that turn out to be damaged go to `quarantine/`. */
  items(): AsyncIterable<Item>;
}

/** How a line proves that it is whole. */
export type Integrity = 'line' | 'suffix' | 'none';

export type Durability = 'none' | 'batch' | 'item';

export interface SpoolOptions<Item> {
  /** Where the files are; made if it does not exist. Belongs to this batcher alone, from the first add or flush until `close`. */
  batchDirectory: string;
  /** The text of an item, without a newline; `JSON.stringify` by default. */
  encode?: ((item: Item) => string) | null | undefined;
  /** The item of a text; `JSON.parse` by default. What it rejects goes to `quarantine/`. */
  decode?: ((text: string) => Item) | null | undefined;
  /**
   * What an added item survives, besides the end of the process: `'item'` power loss; `'batch'` (the default) power loss
   * that comes later than `syncInterval`; `'none'` no power loss.
   */
  durability?: Durability | null | undefined;
  /** Milliseconds; 1000 by default. */
  syncInterval?: number | null | undefined;
  /** The checksum of a line: `'line'` (the default) in 32 trailing blanks, `'suffix'` a tab and eight hex digits, `'none'`. */
  integrity?: Integrity | null | undefined;
  /** On disk, `quarantine/` and `dead/` included; an add beyond it is an overflow. None by default. */
  maxBytes?: number | null | undefined;
  /** Then the file moves to `dead/`; counted across restarts. None by default. */
  maxAttempts?: number | null | undefined;
}

type OwnHooks = 'batchInit' | 'batchAddItem' | 'batchAddItems' | 'batchId' | 'batchSplit';

export type FileBatcherOptions<Item> = SpoolOptions<Item> & Omit<BatchPleaseOptions<Item, FileBatch<Item>>, OwnHooks>;

/** What `open` found of earlier lives. */
export interface RecoveryReport {
  /** That are delivered now. */
  files: number;
  /** In them. */
  items: number;
  /** Last lines that had not been written to their end; nobody was told that these are stored. */
  tornLines: number;
  /** Damaged lines. */
  badLines: number;
  /** Files with torn or bad lines; their bytes are in `quarantine/`. */
  quarantinedFiles: number;
  /** Files that could not be read: they stay, and the next `open` tries again. */
  unreadableFiles: number;
}

export type FileBatcherEvents = {
  recovered: RecoveryReport;
  /** A file that could not be recovered stays where it is. */
  unreadable: { filename: string; error: unknown };
  /** Bytes that are no good lines, or whose item `decode` rejects, were copied to `filename`. */
  quarantined: { id: string; lines: number; bytes: number; filename: string };
  /** A batch was given up; its file is `filename`. */
  dead: { id: string; size: number; filename: string; error: unknown };
  /** A sync failed, or a file had lost its name or a part; what was stored is in the file again, and synced as asked. */
  rescued: { id: string; size: number; error: unknown };
  /** A sealed file cannot be synced: it is delivered all the same, and power loss before that may cost its newest items. */
  unsynced: { id: string; size: number; error: unknown };
  /** Items that were stored are gone. */
  lost: { id: string; items: number; error: unknown };
  /** The directory's lock was taken away, and another process has it: nothing is acknowledged any more. */
  unowned: { directory: string; error: unknown };
};

/** At every moment `added = delivered + refused + dropped + quarantined + dead + lost + returned + pending`. */
export interface SpoolCounts {
  readonly added: number;
  readonly delivered: number;
  readonly refused: number;
  readonly dropped: number;
  /** Lines. */
  readonly quarantined: number;
  /** Items in files that this batcher moved to `dead/`. */
  readonly dead: number;
  /** Items that were stored, and were not in their file any more. */
  readonly lost: number;
  /** Handed back by `clear`. */
  readonly returned: number;
  /** On disk, or on their way to it. */
  readonly pending: number;
  /** On disk, `quarantine/` and `dead/` included. */
  readonly bytes: number;
}

export interface FileBatcherState<Item> extends BatchPleaseState<Item, FileBatch<Item>> {
  readonly spool: SpoolCounts;
}
