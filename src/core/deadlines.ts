/** Timeouts that are dealt with at once: tens of thousands in one turn of the event loop would block it. */
export const PORTION = 250;

/** An entry of the heap; its deadline must not change while it is in there. */
export interface Timed {
  readonly deadline: number;
}

/** A binary heap with the earliest deadline on top. Entries whose deadlines only grow cost one comparison each. */
export class DeadlineHeap<T extends Timed> {
  #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** In no particular order. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** The entry with the earliest deadline; `undefined` when empty. */
  get top(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as T; // a parent's index is below its child's
      if (above.deadline <= item.deadline) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  /** Removes the top. */
  pop(): void {
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) this.#sink(last, 0);
  }

  /** Keeps the entries that pass the test; linear. */
  keep(test: (item: T) => boolean): void {
    this.#items = this.#items.filter(test);
    for (let at = (this.#items.length >> 1) - 1; at >= 0; at--) this.#sink(this.#items[at] as T, at); // within the list
  }

  /** Removes and returns all entries, in no particular order. */
  clear(): T[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  /** Throws if a child is earlier than its parent. */
  check(): void {
    for (const [at, item] of this.#items.entries()) {
      const parent = this.#items[(at - 1) >> 1];
      if (at > 0 && parent !== undefined && parent.deadline > item.deadline) throw new Error(`heap order at ${at}`);
    }
  }

  /** Places the item at the index, or below it where a child is earlier. */
  #sink(item: T, index: number): void {
    const items = this.#items;
    let at = index;
    for (let child = 2 * at + 1; child < items.length; child = 2 * at + 1) {
      const right = items[child + 1];
      if (right !== undefined && right.deadline < (items[child] as T).deadline) child++; // child is within the list
      const earlier = items[child] as T; // so is its sibling
      if (item.deadline <= earlier.deadline) break;
      items[at] = earlier;
      at = child;
    }
    items[at] = item;
  }
}

class Entry implements Timed {
  expire: (() => void) | undefined;

  constructor(
    readonly deadline: number,
    expire: () => void,
  ) {
    this.expire = expire;
  }
}

/** Calls back at many moments, earliest first; adding and leaving cost O(log n) at most. */
export class Deadlines {
  readonly #heap = new DeadlineHeap<Entry>();
  #left = 0;

  /** The earliest moment; `Infinity` if there is none. One that was called off counts for nothing, or a timer would ring for it. */
  get next(): number {
    return this.#first?.deadline ?? Infinity;
  }

  /** Returns a function that calls it off. */
  add(at: number, expire: () => void): () => void {
    const entry = new Entry(at, expire);
    this.#heap.push(entry);
    return () => {
      if (entry.expire === undefined) return;
      entry.expire = undefined;
      // Entries that were called off stay until they are due, or until they are more than half of all.
      if (++this.#left * 2 <= this.#heap.size) return;
      this.#heap.keep(({ expire: live }) => live !== undefined);
      this.#left = 0;
    };
  }

  /** Calls what is due, a portion at most. */
  expire(now: number): void {
    for (let count = 0, first = this.#first; first !== undefined && first.deadline <= now; first = this.#first) {
      if (count++ === PORTION) break;
      this.#heap.pop();
      const { expire } = first;
      first.expire = undefined;
      expire?.();
    }
  }

  /** The earliest entry that was not called off; those before it leave the heap. */
  get #first(): Entry | undefined {
    let { top } = this.#heap;
    for (; top !== undefined && top.expire === undefined; { top } = this.#heap) {
      this.#heap.pop();
      this.#left--;
    }
    return top;
  }
}

/**
 * Makes errors that have no stack. In a timer callback a stack shows nothing of the caller, and it is most of what a timeout
 * costs.
 */
export function withoutStack<T>(make: () => T): T {
  const limit = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit');
  if (limit?.writable !== true) return make(); // another engine, or a frozen `Error`
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
