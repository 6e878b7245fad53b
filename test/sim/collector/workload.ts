import { checkFlushSettled, checkItemSettled } from './checks/promises.js';
import { Oops } from './manners.js';
import type { Ask, Closing, Item } from './records.js';
import type { World } from './world.js';

const VERBS = ['addItem', 'addItem', 'onError', 'syncAddItem', 'deliverItem'] as const;
const CLOSES = [{}, {}, { timeout: 40 }, { timeout: 0 }, { flush: false }, { flush: false, timeout: 100 }] as const;

/** What producers and operators do to the batcher, from outside and from within hooks and listeners. */
export class Workload {
  readonly #world: World;
  #reentries = 0;

  constructor(world: World) {
    this.#world = world;
  }

  step(): void {
    const { random } = this.#world;
    const dice = random.int(20);
    if (dice < 9) for (let n = 1 + random.int(4); n > 0; n--) this.add();
    else if (dice < 10) this.#addMany();
    else if (dice < 12) for (let n = 1 + random.int(12); n > 0; n--) this.add('addItem');
    else if (dice < 14) this.flush();
    else if (dice < 15 && random.chance(0.1)) this.close();
  }

  /** Calls back into the batcher from a hook or a listener. */
  reenter(from: string): void {
    const { random, plan, model, calm, without } = this.#world;
    if (calm || plan.reenter === 0 || this.#world.depth > 2 || this.#reentries > 12) return;
    if (without.has('reenter') || !random.chance(plan.reenter)) return;
    this.#reentries++;
    this.#world.depth++;
    model.note(`${this.#indent}(from ${from})`);
    const dice = random.int(20);
    if (dice < 8) this.add();
    else if (dice < 10) for (let n = random.int(6); n > 0; n--) this.add();
    else if (dice < 19) this.flush();
    else if (!without.has('closeInHook')) this.close();
    this.#world.depth--;
  }

  get #indent(): string {
    return '  '.repeat(this.#world.depth);
  }

  // Adding

  add(verb: string = this.#world.random.pick(VERBS)): void {
    this.#world.sync();
    const weight = this.#weight();
    if (verb === 'addItem' || verb === 'onError') this.#addItem(verb, weight);
    else this.#addAwaited(verb, weight);
  }

  #addItem(verb: string, weight: number): void {
    const { batcher, model, plan, depth } = this.#world;
    const item = this.#call(verb, weight);
    let more: boolean;
    if (verb === 'addItem') more = batcher.addItem(item.id);
    else {
      const heard: unknown[] = (item.heard = []);
      const onError = (error: Error): void => {
        heard.push(error);
        model.note(`onError ${item.id}: ${error.name}`);
        this.#world.enter('onError');
      };
      more = batcher.addItem(item.id, { onError });
    }
    this.#returned(item);
    if (depth > 0) return;
    if (more && model.pending >= plan.highWaterMark)
      model.bad(`addItem(${item.id}) said true above the high-water mark`);
    if (!more && item.fate === 'accepted' && model.pending < plan.highWaterMark)
      model.bad(`addItem(${item.id}) said false below the high-water mark`);
  }

  #addAwaited(verb: string, weight: number): void {
    const { batcher, model, plan, random } = this.#world;
    const controller = random.chance(0.15) ? new AbortController() : undefined;
    const item = this.#call(verb, weight, controller?.signal);
    if (controller !== undefined) this.#abortLater(controller, item);
    item.outcome = 'pending';
    if (model.pending >= plan.maxPending) model.crowdSeq = model.next();
    const options = controller === undefined ? undefined : { signal: controller.signal };
    const promise =
      verb === 'syncAddItem' ? batcher.syncAddItem(item.id, options) : batcher.deliverItem(item.id, options);
    if (controller?.signal.aborted === true && item.fate === 'called') model.turnAway(item, 'away');
    this.#returned(item);
    promise.then(
      () => {
        this.#world.sync();
        checkItemSettled(model, item, 'resolved', undefined);
      },
      (error: unknown) => {
        this.#world.sync();
        checkItemSettled(model, item, 'rejected', error);
      },
    );
  }

  #addMany(): void {
    const { batcher, model } = this.#world;
    this.#world.sync();
    model.note('addItems');
    const items = function* (workload: Workload): Generator<number> {
      for (let n = 0; n < 3; n++) {
        const item = workload.#call('addItem', workload.#weight());
        yield item.id;
        workload.#returned(item);
      }
    };
    batcher.addItems(items(this));
  }

  /** At times heavier than a batch may be. */
  #weight(): number {
    const { plan, random } = this.#world;
    if (plan.weight === Infinity) return 0;
    return random.chance(0.1) ? plan.weight + random.int(3) : random.int(plan.weight / 2 + 1);
  }

  #call(verb: string, weight: number, signal?: AbortSignal): Item {
    const { model } = this.#world;
    const item = model.call(verb, weight, signal);
    model.note(`${this.#indent}${verb} ${item.id}${weight > 0 ? ` (weight ${weight})` : ''}`);
    return item;
  }

  /** The call has returned: the item is accepted or refused, or its caller waits for room. */
  #returned(item: Item): void {
    const { model, plan } = this.#world;
    this.#world.sync();
    item.returnedSeq = model.next();
    if (item.fate !== 'called') return;
    const may = item.outcome === 'pending' && (plan.overflow === 'wait' || plan.overflow === 'dropOldest');
    if (!may) model.bad(`${item.verb}(${item.id}) has returned, and the item is neither taken nor refused`);
    else if (model.closing !== undefined && item.seq > model.closing.seq)
      model.bad(`item ${item.id} waits for room after close`);
    model.wait(item);
  }

  #abortLater(controller: AbortController, item: Item): void {
    const { model, clock, random } = this.#world;
    const abort = (): void => {
      this.#world.sync();
      model.note(`abort ${item.id}`);
      if (item.fate === 'waiting') model.turnAway(item, 'away');
      controller.abort(new Oops(`abort ${item.id}`));
    };
    if (random.chance(0.1)) abort();
    else clock.setTimer(abort, random.int(60) + 0.25);
  }

  // Flushing and closing

  flush(): void {
    const { random, clock, model, batcher } = this.#world;
    const timeout = random.chance(0.25) ? 4 * random.int(20) : Infinity;
    const controller = random.chance(0.1) ? new AbortController() : undefined;
    if (controller !== undefined) {
      const abort = (): void => {
        controller.abort(new Oops('abort'));
      };
      clock.setTimer(abort, random.int(40) + 0.25);
    }
    this.#world.sync();
    model.note(`${this.#indent}flush${timeout < Infinity ? ` within ${timeout}` : ''}`);
    if (model.closing === undefined) model.demand('flush');
    const ask: Ask = {
      ...{ seq: model.next(), at: model.now, timeout, signal: controller?.signal, outcome: 'pending' },
      covered: model.items.filter((item) => item.fate === 'accepted'),
    };
    model.asks.push(ask);
    const options = { ...(timeout < Infinity && { timeout }), ...(controller && { signal: controller.signal }) };
    batcher.flush(options).then(
      () => {
        checkFlushSettled(model, ask, 'resolved', undefined);
      },
      (error: unknown) => {
        checkFlushSettled(model, ask, 'rejected', error);
      },
    );
  }

  close(options: { timeout?: number; flush?: boolean } = this.#world.random.pick(CLOSES)): void {
    const { model, batcher } = this.#world;
    if (model.closing !== undefined) return;
    this.#world.sync();
    model.note(`${this.#indent}close ${JSON.stringify(options)}`);
    const closing: Closing = {
      ...{ at: model.now, seq: model.next(), timeout: options.timeout ?? 30_000, flush: options.flush ?? true },
      ...{ outcome: 'pending', error: undefined, settledAt: Infinity },
    };
    model.closing = closing;
    if (closing.flush) model.demand('close');
    batcher.close(options).then(
      () => Object.assign(closing, { outcome: 'resolved', settledAt: model.now }),
      (error: unknown) => Object.assign(closing, { outcome: 'rejected', error, settledAt: model.now }),
    );
  }
}
