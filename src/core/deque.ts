/** A queue in amortised constant time: `Array.shift` moves every element behind the first. */
export class Deque<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** `undefined` when empty. */
  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** `undefined` when empty. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else this.#compact();
    return item;
  }

  /** Takes the first `count`, or all there are. */
  take(count: number): T[] {
    const all = count >= this.length;
    const taken = (all && this.#head === 0 ? this.#items : this.#items.slice(this.#head, this.#head + count)) as T[];
    if (all) {
      this.#items = [];
      this.#head = 0;
    } else {
      this.#items.fill(undefined, this.#head, this.#head + count);
      this.#head += count;
      this.#compact();
    }
    return taken;
  }

  /** A copy of all but the first `count`. */
  slice(count: number): T[] {
    return this.#items.slice(this.#head + count) as T[]; // below head only is it cleared
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as T; // below head only is it cleared
  }

  #compact(): void {
    if (this.#head < 1024 || this.#head * 2 <= this.#items.length) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}
