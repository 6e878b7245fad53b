import type { Clock } from '../../src/index.js';
import type { Durability, FileBatcherEvents } from './contract.js';
import type { DEAD, Integrity, QUARANTINE, RETURNED } from './format.js';

/** Where files go that are not delivered any more. */
export type Folder = typeof DEAD | typeof QUARANTINE | typeof RETURNED;

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

export type Report = <Name extends keyof FileBatcherEvents>(
  event: Name,
  payload: FileBatcherEvents[Name],
  warning?: string,
) => void;

/** The part of a batcher that its spool uses. */
export interface Owner {
  report: Report;
  /** The open batch is to take no more items. */
  endBatch(): void;
  /** Room may have come free. */
  look(): void;
}
