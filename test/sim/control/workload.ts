import { FlushError, TimeoutError } from 'batch-please';
import { drawLimits, optionsOf } from './plan.js';
import { isRunning, type Item } from './records.js';
import type { World } from './world.js';

/** What callers do. */
export class Workload {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  step(): void {
    const { random } = this.#world;
    const dice = random.int(24);
    if (dice < 12) for (let n = 1 + random.int(6); n > 0; n--) this.#add();
    else if (dice < 15) this.flush(random.chance(0.6));
    else if (dice < 17) this.#clear();
    else if (dice < 18) this.#pause();
    else if (dice < 20) this.resume();
    else if (dice < 22) this.#configure();
    else if (dice < 23 && random.chance(0.1)) this.close();
  }

  #add(): void {
    const { random, batcher, plan, items, closing } = this.#world;
    const verb = random.pick(['addItem', 'onError', 'syncAddItem', 'deliverItem'] as const);
    const item: Item = {
      ...{ id: items.length, verb, poison: plan.poison > 0 && random.chance(1 / plan.poison), fate: 'called' },
      ...{ joinedAt: -1, batch: undefined, outcome: 'none', error: undefined, heard: undefined },
    };
    items.push(item);
    this.#world.note(`${verb} ${item.id}${item.poison ? ' (poison)' : ''}`);
    if (verb === 'addItem' || verb === 'onError') {
      const heard: unknown[] = [];
      if (verb === 'onError') item.heard = heard;
      batcher.addItem(item.id, verb === 'onError' ? { onError: (error) => heard.push(error) } : undefined);
      if (item.fate === 'called') item.fate = 'pending';
      return;
    }
    item.outcome = 'pending';
    const promise = verb === 'syncAddItem' ? batcher.syncAddItem(item.id) : batcher.deliverItem(item.id);
    this.#returned(item, closing === undefined);
    promise.then(
      () => {
        item.outcome = 'resolved';
        if (verb === 'deliverItem' && item.fate !== 'delivered')
          this.#world.bad(`deliverItem(${item.id}) resolved, it is ${item.fate}`);
      },
      (error: unknown) => {
        Object.assign(item, { outcome: 'rejected', error });
        if (item.fate === 'delivered') this.#world.bad(`${verb}(${item.id}) rejected, it is delivered`);
      },
    );
  }

  /** Accepted, or waiting for room: the numbers say which. */
  #returned(item: Item, open: boolean): void {
    if (item.fate !== 'called' || !open) return;
    const { items, batcher, plan } = this.#world;
    // Who waits for room has been let in before a later call is accepted.
    const known = items.filter(({ fate }) => fate === 'pending' || fate === 'waiting').length;
    const may = plan.overflow === 'wait' || plan.overflow === 'dropOldest';
    item.fate = batcher.state.pending > known || !may ? 'pending' : 'waiting';
  }

  flush(hurry: boolean): void {
    const { random, batcher, items } = this.#world;
    const timeout = random.chance(0.2) ? random.int(60) : undefined;
    this.#world.note(`flush${hurry ? '' : ' without hurry'}`);
    if (hurry) {
      this.#world.hurriedAt = this.#world.now;
      if (this.#world.closing === undefined) this.#world.hurries++; // later it only waits for `close`
    }
    const at = this.#world.now;
    const covered = items.filter(({ fate }) => fate === 'pending');
    // A call that hurries nothing rejects when a batch that it covers is held already, unless what it demands is cut.
    const held = !hurry && batcher.state.batches.some(({ status }) => status === 'held');
    const { pending, batches } = batcher.state;
    const { refused } = batcher.state.counts;
    const open = pending - batches.reduce((sum, { size }) => sum + size, 0);
    batcher.flush({ ...(timeout !== undefined && { timeout }), ...(!hurry && { hurry }) }).then(
      () => {
        const left = covered.find(({ fate }) => fate === 'pending');
        if (left !== undefined && this.#world.closing === undefined)
          this.#world.bad(`flush() resolved while item ${left.id} is pending`);
      },
      (error: unknown) => {
        const { closing } = this.#world;
        const nothingCut = open === 0 || batcher.state.counts.refused > refused;
        const givenUpAt = held && nothingCut ? at : this.#world.givenUpAt;
        if (error instanceof TimeoutError ? timeout === undefined : closing === undefined && givenUpAt < at)
          this.#world.bad(`flush() rejected with ${String(error)}`);
        if (error instanceof FlushError && givenUpAt < at) this.#world.bad('FlushError, and nothing was given up');
      },
    );
  }

  #clear(): void {
    const { batcher, batches } = this.#world;
    const states = batcher.clear();
    const ids = states.flatMap(({ items }) => items);
    this.#world.note(`clear: [${ids.join(' ')}]`);
    for (const id of ids) this.#world.move(id, 'returned');
    for (const batch of batches.values()) {
      if (batch.ended || !batch.items.some((id) => ids.includes(id))) continue;
      if (isRunning(batch, this.#world.now)) this.#world.bad(`clear() took batch ${batch.id} back while it runs`);
      else if (batch.items.every((id) => ids.includes(id))) this.#world.end(batch);
    }
  }

  #pause(): void {
    if (this.#world.closing !== undefined) return;
    this.#world.note('pause');
    this.#world.paused = true;
    this.#world.batcher.pause();
  }

  resume(): void {
    this.#world.note('resume');
    this.#world.paused = false;
    this.#world.batcher.resume();
  }

  #configure(): void {
    const { random, plan, hooks } = this.#world;
    const limits = drawLimits(random);
    this.#world.note(`configure ${JSON.stringify(limits)}`);
    this.#world.configured = true;
    this.#world.limits = limits;
    this.#world.batcher.configure(optionsOf(limits, plan.delays ? hooks.delay : undefined));
  }

  close(): void {
    const { random, batcher } = this.#world;
    if (this.#world.closing !== undefined) return;
    const timeout = random.pick([30_000, 30_000, 40, 0]);
    const flush = !random.chance(0.2);
    this.#world.note(`close ${timeout} ${String(flush)}`);
    const closing = { at: this.#world.now, flush, timeout, outcome: 'pending', error: undefined as unknown };
    this.#world.closing = closing;
    this.#world.paused = false;
    batcher.close({ timeout, flush }).then(
      () => (closing.outcome = 'resolved'),
      (error: unknown) => Object.assign(closing, { outcome: 'rejected', error }),
    );
  }
}
