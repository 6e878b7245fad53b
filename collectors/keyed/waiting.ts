import type { Entry } from './entry.js';

/** A caller that waits for room. */
export interface Waiting<Item, Key, Batch> {
  readonly key: Key;
  /** May make room by dropping, where the policy says so. */
  readonly drops: boolean;
  enter(entry: Entry<Item, Key, Batch>): void;
  turnAway(error: unknown): void;
}

/**
 * Callers that wait for room, in the order in which they came: first those whose key has been made for another caller,
 * then those that wait for a key to leave, then those that wait for pending items to leave. For while some of these wait,
 * every later caller waits behind them; and one that finds no room for its key is the first of them.
 */
export class Waiters<Item, Key, Batch> {
  /** Callers whose key was made for another caller of it. */
  readonly #behind = new Set<Waiting<Item, Key, Batch>>();
  /** Callers that other keys do not have to wait for. */
  readonly #forKeys = new Set<Waiting<Item, Key, Batch>>();
  /** The same, by key. */
  readonly #ofKey = new Map<Key, Set<Waiting<Item, Key, Batch>>>();
  readonly #forItems = new Set<Waiting<Item, Key, Batch>>();

  /** Whether no caller waits. */
  get empty(): boolean {
    return !this.crowded && !this.forKeys;
  }

  /** Whether there are callers that every other has to wait for. */
  get crowded(): boolean {
    return this.#behind.size + this.#forItems.size > 0;
  }

  /** Whether there are callers that wait for a key to leave. */
  get forKeys(): boolean {
    return this.#forKeys.size > 0;
  }

  /** The caller that came first. */
  get first(): Waiting<Item, Key, Batch> | undefined {
    return this.next(true);
  }

  /** The caller that came first, of those that there may be room for. */
  next(roomForKey: boolean): Waiting<Item, Key, Batch> | undefined {
    const [behind] = this.#behind;
    const [forKey] = roomForKey ? this.#forKeys : [];
    const [forItem] = this.#forItems;
    return behind ?? forKey ?? forItem;
  }

  waitForItems(waiting: Waiting<Item, Key, Batch>): void {
    this.#forItems.add(waiting);
  }

  /** One that waits for its key already keeps its place. */
  waitForKey(waiting: Waiting<Item, Key, Batch>): void {
    this.#behind.delete(waiting);
    this.#forItems.delete(waiting);
    this.#forKeys.add(waiting);
    const same = this.#ofKey.get(waiting.key) ?? new Set();
    this.#ofKey.set(waiting.key, same.add(waiting));
  }

  /** The key was made: none of its callers waits for that any more. */
  made(key: Key): void {
    for (const waiting of this.#ofKey.get(key) ?? []) {
      this.#forKeys.delete(waiting);
      this.#behind.add(waiting);
    }
    this.#ofKey.delete(key);
  }

  /** `false` if it does not wait any more. */
  remove(waiting: Waiting<Item, Key, Batch>): boolean {
    const same = this.#ofKey.get(waiting.key);
    if (same?.delete(waiting) === true && same.size === 0) this.#ofKey.delete(waiting.key);
    const lines = [this.#behind, this.#forKeys, this.#forItems];
    return lines.some((line) => line.delete(waiting));
  }

  /** All of them, none of whom waits any more. */
  takeAll(): Waiting<Item, Key, Batch>[] {
    const lines = [this.#behind, this.#forKeys, this.#forItems];
    const all = lines.flatMap((line) => [...line]);
    for (const line of lines) line.clear();
    this.#ofKey.clear();
    return all;
  }
}
