import type { Awaitable, BatchPleaseOptions } from 'batch-please';
import { MemoryBatcher, type KeyedBatcherOptions, type MemoryBatch } from 'batch-please/collectors';
import type { Answers } from './plan.js';
import type { Item } from './records.js';
import type { World } from './world.js';

type Options = BatchPleaseOptions<Item, MemoryBatch<Item>>;

/** The hooks that add, and the factory of collectors. */
export class Hooks {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  options(): KeyedBatcherOptions<Item, number> {
    const { factory } = this.#world.more;
    return {
      ...this.#adding(),
      ...(factory !== 'none' && { batcher: (key: number, options: Options) => this.#collector(key, options) }),
    };
  }

  #adding(): Pick<Options, 'batchInit' | 'batchAddItem' | 'shouldFlush'> {
    const { hooks } = this.#world.more;
    if (hooks === null) return {};
    return {
      batchInit: () => this.#answer(hooks.init, hooks.fails, () => ({ items: [] })),
      batchAddItem: (batch: MemoryBatch<Item>, item: Item) => this.#add(batch, item, hooks.add, hooks.fails),
      ...(hooks.asks > 0 && { shouldFlush: () => this.#world.extra.chance(hooks.asks) }),
    };
  }

  #add(batch: MemoryBatch<Item>, item: Item, answers: Answers, fails: number): Awaitable<MemoryBatch<Item> | void> {
    const world = this.#world;
    world.order.joins(item);
    if (world.extra.chance(world.plan.reentrant) && !world.resting) world.workload.add(world.extra);
    return this.#answer(answers, fails, () => {
      if (item.fate === 'pending') item.added = true; // its hook may have taken too long
      // A new state: what a hook that was given up does later changes nothing.
      return { items: [...batch.items, item] };
    });
  }

  #answer<T>(answers: Answers, fails: number, value: () => T): Awaitable<T> {
    const world = this.#world;
    const { extra } = world;
    world.look();
    const fail = extra.chance(fails);
    const answer = (): T => {
      if (fail) throw new Error('not this one');
      return value();
    };
    if (answers === 'now') return answer();
    world.outcome.late++;
    return (answers === 'soon' ? soon(extra.int(12)) : world.wait(extra.int(3) + 0.25)).then(answer);
  }

  #collector(key: number, options: Options): MemoryBatcher<Item> {
    const { more, plan, extra, own, outcome } = this.#world;
    if (extra.chance(more.factoryFails)) throw new Error('no collector');
    outcome.made++;
    const slow = extra.chance(more.slowClose);
    const mine: Options = slow ? { batchTerminate: () => this.#world.wait(extra.int(40)) } : {};
    if (more.factory === 'spread') return new MemoryBatcher<Item>({ ...options, ...mine });
    const timers: Options = {
      clock: own,
      maxTimeSinceFirstItem: extra.pick([5, 30]),
      flushInterval: extra.pick([null, 7, 40]),
      maxTimeSinceLastFlush: extra.pick([null, 25]),
    };
    if (more.factory === 'timers') return new MemoryBatcher<Item>({ ...options, ...mine, ...timers });
    const { maxBatchSize, flushTimeout, retry } = plan;
    return new MemoryBatcher<Item>({
      ...{ ...mine, ...timers, ...this.#adding(), maxBatchSize, flushTimeout, retry },
      batchFlush: (batch, context) => this.#world.sink.flush(batch, key, context),
    });
  }
}

async function soon(microtasks: number): Promise<void> {
  for (let i = 0; i < microtasks; i++) await Promise.resolve();
}
