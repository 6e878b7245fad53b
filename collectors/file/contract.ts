import type { BatchPleaseOptions, BatchPleaseState } from '../../src/index.js';

/** A batch of a `FileBatcher`: a file, one item per line. */
export interface FileBatch<Item> {
  /** Different for every batch, and the same after a restart: an idempotency key. */
  readonly id: string;
  /** The file as it is: for an upload or a bulk load. It is renamed between attempts. */
  readonly filename: string;
  /** Items in the file. */
  readonly size: number;
  /** Size of the file. */
  readonly bytes: number;
  /** Reads the items from the file, a piece at a time. Lines that turn out to be damaged go to `quarantine/`. */
  items(): AsyncIterable<Item>;
}

/** How a line proves that it is whole. */
export type Integrity = 'line' | 'suffix' | 'none';

/** See the option `durability`. */
export type Durability = 'none' | 'batch' | 'item';

/** The options of a `FileBatcher` besides those of every collector. */
export interface SpoolOptions<Item> {
  /** Directory of the files; made if it is missing. Locked for this batcher, from the first add or flush until `close`. */
  batchDirectory: string;
  /**
   * Returns the text of an item, without a newline.
   * @default JSON.stringify
   */
  encode?: ((item: Item) => string) | null | undefined;
  /**
   * Returns the item of a text. A line for which it throws goes to `quarantine/`.
   * @default JSON.parse
   */
  decode?: ((text: string) => Item) | null | undefined;
  /**
   * Every added item survives the end of the process. With `'item'` it also survives power loss, with `'batch'` power loss
   * that comes later than `syncInterval`, with `'none'` no power loss.
   * @default 'batch'
   */
  durability?: Durability | null | undefined;
  /**
   * With `durability: 'batch'`: milliseconds between two syncs of the open file.
   * @default 1000
   */
  syncInterval?: number | null | undefined;
  /**
   * The checksum of a line: `'line'` in 32 trailing blanks, `'suffix'` a tab and eight hex digits, `'none'`.
   * @default 'line'
   */
  integrity?: Integrity | null | undefined;
  /**
   * Bytes on disk, `quarantine/` and `dead/` included; an add beyond it is an overflow.
   * @default off
   */
  maxBytes?: number | null | undefined;
  /**
   * Attempts, counted across restarts, after which the file of a batch moves to `dead/`.
   * @default off
   */
  maxAttempts?: number | null | undefined;
}

type OwnHooks = 'batchInit' | 'batchAddItem' | 'batchAddItems' | 'batchId' | 'batchSplit';

/** Options of a `FileBatcher`: those of its files, and those of every collector. */
export type FileBatcherOptions<Item> = SpoolOptions<Item> & Omit<BatchPleaseOptions<Item, FileBatch<Item>>, OwnHooks>;

/** Files of earlier processes that `open` found. */
export interface RecoveryReport {
  /** Files that are delivered now. */
  files: number;
  /** Items in these files. */
  items: number;
  /** Last lines that had not been written to their end; their adds were never acknowledged. */
  tornLines: number;
  /** Damaged lines. */
  badLines: number;
  /** Files with torn or bad lines; their bytes are in `quarantine/`. */
  quarantinedFiles: number;
  /** Files that could not be read: they stay, and the next `open` tries again. */
  unreadableFiles: number;
}

/** Events of a `FileBatcher` besides those of every collector. */
export type FileBatcherEvents = {
  /** `open` has read the files of earlier processes. */
  recovered: RecoveryReport;
  /** A file that could not be recovered stays where it is. */
  unreadable: { filename: string; error: unknown };
  /** Bytes that are no good lines, or whose item `decode` rejects, were copied to `filename`. */
  quarantined: { id: string; lines: number; bytes: number; filename: string };
  /** A batch was given up; its file is `filename`. */
  dead: { id: string; size: number; filename: string; error: unknown };
  /** A sync failed, or a file had lost its name or a part; what was stored is in the file again, and synced as asked. */
  rescued: { id: string; size: number; error: unknown };
  /** A sealed file cannot be synced: it is delivered, or stays at `close`, all the same; its newest items may be lost. */
  unsynced: { id: string; size: number; error: unknown };
  /** Stored items are lost: their file, or a part of it, was removed or overwritten. */
  lost: { id: string; items: number; error: unknown };
  /** The directory's lock was taken away, and another process has it: nothing is acknowledged any more. */
  unowned: { directory: string; error: unknown };
};

/** At every moment `added = delivered + refused + dropped + quarantined + dead + lost + returned + pending`. */
export interface SpoolCounts {
  /** Items added, and items found by `open`. */
  readonly added: number;
  /** Items that the sink has got. */
  readonly delivered: number;
  /** Items refused by a hook, a bound, the disk or `close`. */
  readonly refused: number;
  /** Items given up after their acceptance. */
  readonly dropped: number;
  /** Damaged lines that were moved to `quarantine/`. */
  readonly quarantined: number;
  /** Items in files that this batcher moved to `dead/`. */
  readonly dead: number;
  /** Stored items whose lines are no longer in their file. */
  readonly lost: number;
  /** Items taken back by `clear`. */
  readonly returned: number;
  /** Items on disk, or being written. */
  readonly pending: number;
  /** Bytes on disk, `quarantine/` and `dead/` included. */
  readonly bytes: number;
}

/** The state of a `FileBatcher`: that of every collector, and its files. */
export interface FileBatcherState<Item> extends BatchPleaseState<Item, FileBatch<Item>> {
  /** Counts that include earlier processes. */
  readonly spool: SpoolCounts;
}
