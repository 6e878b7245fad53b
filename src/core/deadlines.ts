interface Entry {
  at: number;
  expire: (() => void) | undefined;
}

/** Calls back at many moments, earliest first: a binary heap, so that adding and leaving cost O(log n) at most. */
export class Deadlines {
  #heap: Entry[] = [];
  #left = 0;

  /** The earliest moment; `Infinity` if there is none. */
  get next(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Returns a function that calls it off. */
  add(at: number, expire: () => void): () => void {
    if (at === Infinity) return () => undefined;
    const entry: Entry = { at, expire };
    this.#push(entry);
    return () => {
      if (entry.expire === undefined) return;
      entry.expire = undefined;
      // Entries that were called off stay until they are due, or until they are more than half of all.
      if (++this.#left * 2 > this.#heap.length) this.#rebuild();
    };
  }

  /** Calls everything that is due. */
  expire(now: number): void {
    while ((this.#heap[0]?.at ?? Infinity) <= now) {
      const { expire } = this.#pop();
      if (expire === undefined) this.#left--;
      else expire();
    }
  }

  #rebuild(): void {
    const live = this.#heap.filter((entry) => entry.expire !== undefined);
    // A sorted list is a heap.
    this.#heap = live.sort((a, b) => a.at - b.at);
    this.#left = 0;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Entry; // a parent has a smaller index
      if (above.at <= entry.at) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): Entry {
    const heap = this.#heap;
    const top = heap[0] as Entry; // the caller has seen it
    const last = heap.pop() as Entry;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Entry).at < (heap[child] as Entry).at) child++;
      const below = heap[child] as Entry;
      if (below.at >= last.at) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
