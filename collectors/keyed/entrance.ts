import type { Keys } from './keys.js';
import type { Entry } from './entry.js';
import type { Lanes } from './lanes.js';

interface Waiting<Item, Key, Batch> {
  readonly key: Key;
  readonly order: number;
  enter(entry: Entry<Item, Key, Batch>): void;
  turnAway(error: unknown): void;
}

/** Bounds over all keys: pending items and keys; callers that wait for room, first come first served. */
export class Entrance<Item, Key, Batch> {
  /** Keys with items that no demand covers. */
  readonly fresh = new Set<Entry<Item, Key, Batch>>();
  /** Callers that wait for pending items to leave; and for a key to leave, whom other keys do not have to wait for. */
  readonly #forItems = new Set<Waiting<Item, Key, Batch>>();
  readonly #forKeys = new Set<Waiting<Item, Key, Batch>>();
  #order = 0;
  #admitting = false;

  constructor(
    readonly keys: Keys<Item, Key, Batch>,
    readonly lanes: Lanes,
    public maxPending: number,
  ) {}

  get crowded(): boolean {
    return this.#forItems.size > 0;
  }

  /** The entry that the item may be added to; `undefined` if there is no room. A factory of collectors may throw. */
  find(key: Key): Entry<Item, Key, Batch> | undefined {
    const { keys } = this;
    if (this.crowded || keys.pending >= this.maxPending) return undefined;
    return keys.all.get(key) ?? (this.#forKeys.size === 0 ? keys.make(key) : undefined);
  }

  /** Drops the oldest batch that is not in flight, of the key that was served least lately. */
  dropOldest(error: Error): boolean {
    for (const entry of this.keys.busy) {
      const { collector } = entry as unknown as { collector: { dropOldest?: (error: Error) => boolean } };
      if (collector.dropOldest?.(error) !== true) continue;
      this.keys.look(entry);
      return true;
    }
    return false;
  }

  /** Calls one of the two functions later; returns a function that takes the caller out. */
  wait(key: Key, enter: (entry: Entry<Item, Key, Batch>) => void, turnAway: (error: unknown) => void): () => void {
    const waiting = { key, order: this.#order++, enter, turnAway };
    const full = this.crowded || this.keys.pending >= this.maxPending;
    (full ? this.#forItems : this.#forKeys).add(waiting);
    this.#demand();
    return () => {
      const first = this.#forItems.values().next().value === waiting;
      this.#forItems.delete(waiting);
      this.#forKeys.delete(waiting);
      if (first) this.admit();
    };
  }

  /** Lets callers in that there is room for. */
  admit(): void {
    if (this.#admitting || this.#forItems.size + this.#forKeys.size === 0) return;
    this.#admitting = true;
    try {
      for (let next = this.#next(); next !== undefined && this.#admit(next); next = this.#next());
    } finally {
      this.#admitting = false;
    }
    this.#demand();
  }

  /** Rejects every waiting caller. */
  close(error: () => Error): void {
    for (const waiting of [...this.#forItems, ...this.#forKeys]) waiting.turnAway(error());
    this.#forItems.clear();
    this.#forKeys.clear();
  }

  /** The caller that came first, of those that there may be room for. */
  #next(): Waiting<Item, Key, Batch> | undefined {
    if (this.keys.pending >= this.maxPending) return undefined;
    const [item] = this.#forItems;
    const [key] = this.#forKeys;
    if (key === undefined || !(this.keys.roomy || this.keys.all.has(key.key))) return item;
    return item === undefined || key.order < item.order ? key : item;
  }

  /** `false` if there is no room for its key after all: it goes on waiting. */
  #admit(waiting: Waiting<Item, Key, Batch>): boolean {
    this.#forItems.delete(waiting);
    this.#forKeys.delete(waiting);
    let entry: Entry<Item, Key, Batch> | undefined;
    try {
      entry = this.keys.all.get(waiting.key) ?? this.keys.make(waiting.key);
    } catch (error) {
      waiting.turnAway(error);
      return true;
    }
    if (entry === undefined) {
      this.#forKeys.add(waiting);
      return false;
    }
    waiting.enter(entry);
    return true;
  }

  /** A caller waits for room: delivers items that no demand covers, as far as there are lanes. */
  #demand(): void {
    if (this.#forItems.size + this.#forKeys.size === 0) return;
    for (const entry of this.fresh) {
      if (!this.lanes.free) return; // asked again when an attempt has ended
      this.fresh.delete(entry);
      if (entry.pending > 0) entry.demand();
    }
  }
}
