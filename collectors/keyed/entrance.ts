import { OverflowError } from '../../src/index.js';
import type { Keys } from './keys.js';
import type { Entry } from './entry.js';
import type { Lanes } from './lanes.js';

interface Waiting<Item, Key, Batch> {
  readonly key: Key;
  readonly order: number;
  /** May make room by dropping, where the policy says so. */
  readonly drops: boolean;
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
  /** A batch is being dropped, and its event emitted; the room is for the caller that it is dropped for. */
  #dropping = false;

  constructor(
    readonly keys: Keys<Item, Key, Batch>,
    readonly lanes: Lanes,
    public maxPending: number,
    /** The policy is `'dropOldest'`. */
    public drops: boolean,
  ) {}

  get crowded(): boolean {
    return this.#forItems.size > 0;
  }

  /**
   * The entry that the item may be added to, after what can be done to make room, or why there is none. A factory of
   * collectors may throw.
   */
  find(key: Key): Entry<Item, Key, Batch> | OverflowError {
    // Room that a drop made is for this item: who waits by then began to wait meanwhile.
    for (let made = false; ; made = true) {
      const entry = this.#find(key, made);
      if (entry !== undefined) return entry;
      const error = this.#overflowError();
      // It would go to the callers that wait for it.
      const waitsBehind = this.crowded || (this.#forKeys.size > 0 && !this.keys.all.has(key));
      if ((!waitsBehind || made) && this.#dropOldest(error)) continue;
      if (made) this.admit();
      return error;
    }
  }

  #find(key: Key, made: boolean): Entry<Item, Key, Batch> | undefined {
    const { keys } = this;
    if (this.#dropping || (this.crowded && !made) || keys.pending >= this.maxPending) return undefined;
    return keys.all.get(key) ?? (this.#forKeys.size === 0 ? keys.make(key) : undefined);
  }

  /** Drops the oldest batch that is not in flight, of the key that was served least lately, where the policy says so. */
  #dropOldest(error: OverflowError): boolean {
    const { keys } = this;
    const forItem = keys.pending >= this.maxPending;
    // A key whose last collector has not closed yet has room, and waits for that.
    if (!this.drops || this.#dropping || (!forItem && keys.roomy)) return false;
    this.#dropping = true;
    try {
      for (const entry of keys.busy) {
        // A key with a batch in flight stays busy, whatever else of it is dropped: that makes no room for another key.
        if (!forItem && entry.inFlight) continue;
        const { collector } = entry as unknown as { collector: { dropOldest?: (error: Error) => boolean } };
        if (collector.dropOldest?.(error) !== true) continue;
        keys.look(entry);
        return true;
      }
      return false;
    } finally {
      this.#dropping = false;
    }
  }

  #overflowError(): OverflowError {
    const { keys, maxPending } = this;
    return keys.pending >= maxPending || this.crowded || (this.#dropping && keys.roomy)
      ? new OverflowError(`full: ${maxPending} items are pending`, keys.pending, maxPending)
      : new OverflowError(`full: all ${keys.limit} keys are busy`, keys.all.size, keys.limit);
  }

  /** Calls one of the two functions later; returns a function that takes the caller out. */
  wait(key: Key, enter: (entry: Entry<Item, Key, Batch>) => void, turnAway: (error: unknown) => void): () => void {
    // A listener that adds again what was dropped waits for a delivery, or it would drop without end.
    const waiting = { key, order: this.#order++, drops: !this.#dropping, enter, turnAway };
    const full = this.crowded || this.#dropping || this.keys.pending >= this.maxPending;
    (full ? this.#forItems : this.#forKeys).add(waiting);
    this.#demand();
    return () => {
      const first = this.#forItems.values().next().value === waiting;
      this.#forItems.delete(waiting);
      this.#forKeys.delete(waiting);
      if (first) this.admit();
    };
  }

  /**
   * Lets callers in that there is room for. `drops`: an attempt has failed, so that there may be a batch to drop for the
   * first of them. At other times a batch that was let in for one would be dropped for the next before it could start.
   */
  admit(drops = false): void {
    if (this.#admitting || this.#dropping || this.#forItems.size + this.#forKeys.size === 0) return;
    this.#admitting = true;
    try {
      let some = false;
      for (;;) {
        const next = this.#next();
        if (next === undefined ? some || !drops || !this.#makeRoom() : !this.#admit(next)) break;
        some ||= next !== undefined;
      }
    } finally {
      this.#admitting = false;
    }
    this.#demand();
  }

  /** Rejects every waiting caller. */
  close(error: () => Error): void {
    const all = [...this.#forItems, ...this.#forKeys];
    // Before the first is rejected: a listener of that refusal may make room, which must let no caller in any more.
    this.#forItems.clear();
    this.#forKeys.clear();
    for (const waiting of all) waiting.turnAway(error());
  }

  /** Drops for the caller that came first; `false` if there is nothing to drop. */
  #makeRoom(): boolean {
    const [item] = this.#forItems;
    const [key] = this.#forKeys;
    const first = item === undefined || (key !== undefined && key.order < item.order) ? key : item;
    return first?.drops === true && this.#dropOldest(this.#overflowError());
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
