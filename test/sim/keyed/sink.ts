import { PartialFlushError, type FlushContext } from 'batch-please';
import type { MemoryBatch } from 'batch-please/collectors';
import type { Item } from './records.js';
import type { World } from './world.js';

/** Delivers, fails, hangs, and calls back. */
export class Sink {
  /** Attempts that run, per key; an attempt whose signal has aborted is over. */
  readonly running = new Map<number, number>();
  #open = 0;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  flush(batch: MemoryBatch<Item>, key: number, context: FlushContext): Promise<void> | void {
    const world = this.#world;
    const { random, plan } = world;
    const { signal } = context;
    const items = [...batch.items];
    world.outcome.attempts++;
    world.trace(
      `${world.clock.now()} begin ${key}: ${items.map(({ n }) => n).join()} attempt ${context.attempt} ${context.reason}`,
    );
    if (items.some((item) => item.key !== key)) world.wrong(`a batch of key ${key} has items of another`);
    for (const item of items) {
      if (!item.seen) world.order.begins(item);
      if (item.fate !== 'pending') world.wrong(`A12: ${key}:${item.n} is flushed, and is ${item.fate}`);
    }
    this.#begin(key);
    let over = (): void => {
      over = () => {};
      this.#finish(key);
    };
    signal.addEventListener('abort', () => over());
    if (random.chance(plan.reentrant) && !world.resting) world.workload.add();
    const ends = (): void => {
      if (signal.aborted) return;
      over();
      if (!world.healthy && random.chance(plan.fails)) this.#fail(items);
      for (const item of items) world.fate(item, 'delivered');
    };
    if (random.chance(plan.sync)) {
      ends();
      return;
    }
    if (!world.healthy && random.chance(plan.hangs)) return new Promise(() => {});
    return world.wait(this.#duration()).then(ends);
  }

  /** Not about the timeout of an attempt: what ends then may count either way. */
  #duration(): number {
    const { random, plan } = this.#world;
    const duration = random.int(30) + 0.5;
    const { flushTimeout } = plan;
    if (flushTimeout === null) return duration;
    // The timeout may be that of a clock which moves before this one, or after it.
    if (this.#world.healthy && this.#world.more.factory !== 'none') return Math.min(duration, 4);
    const tooLong = this.#world.healthy && duration > flushTimeout;
    return tooLong || Math.abs(duration - flushTimeout) < 4 ? flushTimeout - 5 : duration;
  }

  #fail(items: Item[]): void {
    const { random } = this.#world;
    if (items.length < 2 || random.chance(0.5)) throw new Error('down');
    const failed = random.int(items.length);
    for (const [index, item] of items.entries()) if (index !== failed) this.#world.fate(item, 'delivered');
    throw new PartialFlushError([[failed, new Error('bad row')]]);
  }

  #begin(key: number): void {
    const world = this.#world;
    const { flushConcurrency, keyConcurrency } = world.plan;
    this.#open++;
    const running = (this.running.get(key) ?? 0) + 1;
    this.running.set(key, running);
    // Collectors that ignore the options have lanes of their own.
    if (this.#open > flushConcurrency && world.more.factory !== 'alone')
      world.wrong(`${this.#open} attempts at the same time`);
    if (running > keyConcurrency) world.wrong(`${running} attempts of key ${key}`);
    if (world.paused) world.wrong('an attempt has begun while paused');
    world.order.attempt(key);
  }

  #finish(key: number): void {
    this.#open--;
    const left = (this.running.get(key) ?? 1) - 1;
    if (left === 0) this.running.delete(key);
    else this.running.set(key, left);
  }
}
