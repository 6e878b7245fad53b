import type { Awaitable } from '../src/index.js';

/** A line of a frame that could not be decoded: it takes the item's place, and goes to the dead letters as it is. */
export class BadItem {
  constructor(
    /** The line as it is in the frame. */
    readonly line: string,
    /** The error of its decoding. */
    readonly error: unknown,
  ) {}
}

/** One message of a log: several items with one lease, acknowledged together. */
export interface Delivery<Item> {
  /** The same in every delivery of this message. */
  readonly id: string;
  /** The items of the message, in order. */
  readonly items: readonly (Item | BadItem)[];
  /** How many times the message has been delivered, from 1. */
  readonly attempt: number;
  /** Removes the message from the log. Resolves to whether the log confirmed it; if not, it may be delivered again. */
  ack(): Promise<boolean>;
  /** Gives the message back: the log delivers it again, to any consumer, after `delay` milliseconds (0 by default). */
  retry(delay?: number): Awaitable<unknown>;
  /** Begins the lease anew. */
  extend(): void;
  /**
   * Appends some of the items as a message of their own, with attempts of its own. Its id must be this one's, `#` and the
   * key, by which a feed recognizes what has failed before; a repetition is stored once.
   */
  requeue(items: readonly (Item | BadItem)[], key: string): Promise<unknown>;
  /** Stores one item among the dead letters, with its error; a repeated `key` is stored once. */
  bury(item: Item | BadItem, key: string, error: unknown): Promise<unknown>;
}

/** Deliveries for one consumer. Iterating ends after `stop()`, or throws when the log cannot be read for good. */
export interface Source<Item> extends AsyncIterable<Delivery<Item>> {
  /** Milliseconds from a delivery, or its last `extend()`, until the log delivers the message to another consumer. */
  readonly leaseTime: number;
  /** Asks for no more messages. Those that were fetched ahead are still iterated. */
  stop(): void;
}

/** A log on other machines that stores frames of items and leases them to consumers. */
export interface DurableLog<Item> {
  /** Bytes that one message may have. */
  readonly largest: number;
  /** Creates the log's storage, or compares the existing one with the options. Implied by the first use. */
  open(): Promise<void>;
  /** Stops the sources and releases the log's resources. */
  close(): Promise<void>;
  /**
   * Resolves when the items are stored. A repetition with the same `id` is stored once, and says `duplicate`.
   *
   * @throws TooLargeError when they take more than `largest` bytes, and `ItemError` when one cannot be encoded
   */
  append(items: readonly Item[], id: string, options?: { partition?: number }): Promise<{ duplicate: boolean }>;
  /** Leases messages to one consumer; several sources share the log. */
  source(options?: { partition?: number; prefetch?: number }): Source<Item>;
  /**
   * Moves at most `max` dead letters back into the log, of those there are at the call. Resolves to their number. The id
   * ends in `~` and a number.
   */
  redrive(max?: number): Promise<number>;
}
