import { BatchError } from 'batch-please';
import type { Random } from 'batch-please/testing';
import type { Item } from './records.js';
import type { World } from './world.js';

/** What callers do. */
export class Workload {
  readonly #world: World;
  /** Adds whose calls are under way. */
  readonly #calls: Item[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  async step(): Promise<void> {
    const { random, extra, plan, more, batcher, order } = this.#world;
    if (extra.chance(more.crowds)) this.#crowd();
    if (extra.chance(more.leaves)) this.#leave();
    if (more.limits > 0 && extra.chance(more.limits)) this.#configure();
    const one = random.chance(0.3) ? { key: random.int(plan.keys) } : undefined;
    switch (random.int(14)) {
      case 0:
        this.watch(
          'flush',
          batcher.flush({ ...one, hurry: random.chance(0.5), ...(random.chance(0.3) && { timeout: 20 }) }),
        );
        break;
      case 1:
        order.waits.clear();
        if (random.chance(0.2))
          for (const { items } of batcher.clear(one)) for (const item of items) this.#world.fate(item, 'returned');
        break;
      case 2:
        if (random.chance(0.3)) this.#pauseOrResume();
        break;
      case 3:
      case 4:
      case 5:
        await this.#world.advance(random.int(25));
        break;
      default:
        for (let i = random.int(6); i >= 0; i--) this.add();
    }
  }

  #pauseOrResume(): void {
    const { batcher, order } = this.#world;
    this.#world.paused = !this.#world.paused;
    if (this.#world.paused) batcher.pause();
    else batcher.resume();
    order.waits.clear();
  }

  /** Bounds only rise: what is in flight or pending may exceed a lower one. */
  #configure(): void {
    const { extra, plan, batcher, order } = this.#world;
    plan.maxBatchSize = extra.pick([1, 2, 3, 7]);
    plan.flushConcurrency = Math.max(plan.flushConcurrency, extra.int(6));
    plan.maxPending = Math.max(plan.maxPending, extra.int(40));
    const { maxBatchSize, flushConcurrency, maxPending } = plan;
    this.#world.trace(`configure ${maxBatchSize} ${flushConcurrency} ${maxPending}`);
    batcher.configure({ maxBatchSize, flushConcurrency, maxPending });
    order.waits.clear();
  }

  /** More than there is room for. */
  #crowd(): void {
    const { extra } = this.#world;
    for (let i = 5 + extra.int(30); i > 0; i--) this.add(extra);
  }

  /** One of the callers leaves. */
  #leave(): void {
    const { extra, promises } = this.#world;
    const some = promises.filter(({ state, leave }) => state === 'pending' && leave?.signal.aborted === false);
    if (some.length === 0) return;
    const { item, leave } = extra.pick(some);
    if (item === undefined) return;
    this.#world.trace(`leave ${item.key}:${item.n}`);
    // Whether it still waits is known only if all hooks answer at once.
    if (item.waits && !item.called) this.#world.fate(item, 'out');
    item.abandoned = true;
    leave?.abort(new BatchError('left'));
  }

  add(random: Random = this.#world.random): void {
    const { plan, items, batcher, more, extra, order } = this.#world;
    // Key 0 is hot.
    const key = random.chance(0.4) ? 0 : random.int(plan.keys);
    const item: Item = {
      ...{ key, n: items.length, fate: 'pending', at: 0, within: [...this.#calls] },
      ...{ called: false, added: false, seen: false, waits: false, abandoned: false },
    };
    items.push(item);
    this.#world.trace(`add ${key}:${item.n}`);
    const aborted = random.chance(0.1) ? AbortSignal.abort(new BatchError('gone')) : undefined;
    const leave = aborted === undefined && more.leaves > 0 && extra.chance(0.5) ? new AbortController() : undefined;
    const options = { signal: aborted ?? leave?.signal };
    this.#calls.push(item);
    switch (random.int(3)) {
      case 0:
        batcher.addItem(item);
        break;
      case 1:
        if (aborted) item.fate = 'out';
        this.watch('syncAddItem', batcher.syncAddItem(item, options), item, leave);
        break;
      default:
        if (aborted) item.fate = 'out';
        this.watch('deliverItem', batcher.deliverItem(item, options), item, leave);
    }
    this.#calls.pop();
    this.#noteRoom(item);
    order.noteWait(key);
  }

  /** Its hook would have been called by now. */
  #noteRoom(item: Item): void {
    const { more, outcome, batcher } = this.#world;
    if (more.hooks?.init !== 'now' || more.hooks.add !== 'now' || item.called || item.fate !== 'pending') return;
    if (this.#calls.length > 0) return; // in the midst of a turn of its collector, perhaps
    item.waits = batcher.state.pending > 0 || batcher.state.keys.length > 0;
    outcome.waited++;
  }

  watch(what: string, promise: Promise<unknown>, item?: Item, leave?: AbortController): void {
    const watched = { what, item, leave, state: 'pending' as 'pending' | 'resolved' | 'rejected' };
    this.#world.promises.push(watched);
    promise.then(
      () => {
        watched.state = 'resolved';
        const early = what === 'syncAddItem' && this.#world.more.hooks !== null && item?.added === false;
        if (early) this.#world.wrong(`syncAddItem of ${item.key}:${item.n} resolved before it was in its batch`);
      },
      () => (watched.state = 'rejected'),
    );
  }
}
