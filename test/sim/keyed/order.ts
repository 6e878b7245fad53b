import type { Item } from './records.js';
import type { World } from './world.js';

/** Who comes first: items of one key, callers that wait for room, and keys that wait for a lane. */
export class Order {
  /** Attempts begun by other keys since this key began to wait with a full batch. */
  readonly waits = new Map<number, number>();
  /** The keys that were kept after the last step, with the state of their collectors. */
  #kept = new Map<number, unknown>();
  /** An attempt has begun since promise callbacks last ran. */
  #began = false;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  step(): void {
    const { state } = this.#world.batcher;
    this.#kept = new Map(state.keys.map((key) => [key, state.of(key)]));
  }

  /** The add hook is called with the item. */
  joins(item: Item): void {
    this.#world.trace(`${this.#world.clock.now()} ${item.key}:${item.n} joins`);
    if (item.called) this.#world.wrong(`${item.key}:${item.n} is added twice`);
    this.#inOrder(item, 'is added', ({ called }) => called);
    item.called = true;
    if (item.waits) this.#overtakes(item);
  }

  /** The first attempt with the item. */
  begins(item: Item): void {
    if (this.#world.plan.keyConcurrency === 1) this.#inOrder(item, 'is delivered', ({ seen }) => seen);
    item.seen = true;
  }

  /** No later item of its key comes first. */
  #inOrder(item: Item, what: string, before: (other: Item) => boolean): void {
    const { items } = this.#world;
    for (let n = item.n + 1; n < items.length; n++) {
      const other = items[n] as Item;
      if (other.key === item.key && before(other) && !other.within.includes(item))
        this.#world.wrong(`A7: ${other.n} ${what} before ${item.n}, of key ${item.key}`);
    }
  }

  /** One that came earlier, and whose key is kept, would have had the room. */
  #overtakes(item: Item): void {
    const { items, batcher } = this.#world;
    const stays = (other: Item): boolean =>
      other.waits && !other.called && other.fate === 'pending' && !other.abandoned;
    for (const other of items.slice(0, item.n)) {
      // This one may have been let in before that key was made: its collector calls its hook when its turn allows it.
      const kept = this.#kept.get(other.key);
      if (!stays(other) || kept === undefined || batcher.state.of(other.key) !== kept) continue;
      // It may have been let in by a listener that its own collector is calling, which goes on to add it afterwards.
      queueMicrotask(() => {
        if (stays(other))
          this.#world.wrong(`the caller of ${item.key}:${item.n} overtakes that of ${other.key}:${other.n}`);
      });
    }
  }

  /** A key all of whose batches are queued waits for nothing but a lane. */
  noteWait(key: number): void {
    const { plan, more, paused, sink } = this.#world;
    if (plan.flushConcurrency === Infinity || plan.postFlush || more.factory === 'alone' || paused) return;
    // With a sink that always answers at once a key delivers all that it has in one turn, what its listeners add included.
    if (plan.sync === 1 && plan.reentrant > 0) return;
    if (this.waits.has(key) || sink.running.has(key)) return;
    if (this.#onlyQueued(key)) this.waits.set(key, 0);
  }

  #onlyQueued(key: number): boolean {
    const batches = this.#world.batcher.state.of(key)?.batches ?? [];
    return batches.length > 0 && batches.every(({ status }) => status === 'queued');
  }

  /** An attempt of this key begins. */
  attempt(key: number): void {
    const { flushConcurrency, keyConcurrency, keys } = this.#world.plan;
    this.waits.delete(key);
    const counts = this.#counts();
    for (const [other, begun] of this.waits) {
      if (!this.#onlyQueued(other)) {
        this.waits.delete(other); // for its retry or a trigger, by now
        continue;
      }
      // One attempt of each other key, besides those that had been granted a lane.
      const most = keys * keyConcurrency + Math.min(flushConcurrency, keys) + 1;
      if (!counts) continue;
      if (begun + 1 > most) this.#world.wrong(`key ${other} waits for more than ${most} attempts of others`);
      this.waits.set(other, begun + 1);
    }
  }

  /**
   * Whether this attempt counts against those that wait. Called back in the turn of a key that has its lane, another key
   * may run all its batches at once: the first then waits for the call to return, if there is a lane for every key.
   */
  #counts(): boolean {
    const first = !this.#began;
    this.#began = true;
    if (first)
      queueMicrotask(() => {
        this.#began = false;
      });
    const { plan, batcher } = this.#world;
    const busy = batcher.state.keys.filter((key) => (batcher.state.of(key)?.pending ?? 0) > 0).length;
    return first || busy * plan.keyConcurrency > plan.flushConcurrency;
  }
}
