import { ClosedError, ItemError, OverflowError, TimeoutError, type BatchPleaseEvents } from 'batch-please';
import { leaveFailed } from './checks/close.js';
import { checkBackOff, checkFailure, isLate } from './checks/timers.js';
import { Oops } from './manners.js';
import type { Delivery, Item } from './records.js';
import type { World } from './world.js';

type Events = BatchPleaseEvents<number>;

/** Compares every event with what the model knows, and lets the model move on. */
export class Listeners {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  listen(): void {
    const { batcher } = this.#world;
    batcher.on(
      'flushed',
      this.#wrap('flushed', (info) => this.#flushed(info)),
    );
    batcher.on(
      'failed',
      this.#wrap('failed', (info) => this.#failed(info)),
    );
    batcher.on(
      'held',
      this.#wrap('held', (info) => this.#held(info)),
    );
    batcher.on(
      'dropped',
      this.#wrap('dropped', (info) => this.#dropped(info)),
    );
    batcher.on(
      'refused',
      this.#wrap('refused', (info) => this.#refused(info)),
    );
    batcher.on(
      'drained',
      this.#wrap('drained', () => this.#drained()),
    );
    batcher.on(
      'closed',
      this.#wrap('closed', (info) => void this.#world.model.closedEvents.push(info)),
    );
  }

  /** Then calls back into the batcher, or throws, as the plan says. */
  #wrap<T>(name: string, listener: (info: T) => void): (info: T) => void {
    const { plan, random } = this.#world;
    return (info) => {
      listener(info);
      this.#world.enter(name);
      if (plan.listenersThrow && random.chance(0.2)) throw new Oops(`the listener of ${name}`);
    };
  }

  #flushed(info: Events['flushed']): void {
    const { model, plan } = this.#world;
    model.note(`flushed ${info.id}`);
    const delivery = model.deliveries.get(info.id);
    if (delivery?.phase !== 'running' || delivery.answer?.ok !== true) {
      model.bad(`flushed says batch ${info.id}, which is ${delivery?.phase ?? 'unknown'} and has not succeeded`);
      return;
    }
    const { items, attempt, reason, startedAt } = delivery;
    if (info.size !== items.length || info.attempt !== attempt || info.reason !== reason)
      model.bad('flushed says a wrong size, attempt or reason');
    if (info.duration !== model.now - startedAt) model.bad('flushed says a wrong duration');
    model.move(delivery, 'delivered');
    model.counts.flushes++;
    model.counts.delivered += items.length;
    for (const item of items) model.finish(item, 'delivered');
    model.flushTimes.push(model.now);
    if (plan.postFlush)
      delivery.chore = { attempt: 0, running: false, startedAt: 0, retryAt: model.now, seq: model.next() };
    else model.release(delivery);
  }

  #failed(info: Events['failed']): void {
    const { model } = this.#world;
    model.note(`failed ${info.id} (${info.hook}), again at ${String(info.retryAt)}`);
    const delivery = model.deliveries.get(info.id);
    if (delivery === undefined) model.bad(`failed says an unknown batch ${info.id}`);
    else if (info.hook === 'batchFlush' && delivery.leftBefore && delivery.answer?.error === info.error) {
      // A promise that close() has rejected settled between the hook's answer and this.
      delivery.leftBefore = false;
    } else if (info.hook === 'batchFlush') {
      checkFailure(model, delivery, info.error, 'failed');
      // It uses up no attempt, and leaves the time of the next one as it was.
      if (delivery.extra) {
        if (info.retryAt !== Math.max(delivery.dueAt, model.now)) model.bad('an extra attempt has moved the next one');
        delivery.attempt--;
      } else checkBackOff(model, delivery, info.retryAt);
      delivery.hurried = delivery.extra;
      model.move(delivery, 'parked', info.retryAt);
    } else {
      const { chore } = delivery;
      if (chore?.running !== true && !model.abandoned) model.bad(`${info.hook} failed, and does not run`);
      if (chore !== undefined) Object.assign(chore, { running: false, retryAt: info.retryAt, seq: model.next() });
      if (info.retryAt === Infinity) model.release(delivery);
      // `batchDeadLetter` has not taken it over: close() says so.
      if (info.retryAt === Infinity && model.closing !== undefined && delivery.phase === 'dropped')
        model.droppedLate.push(...delivery.items);
    }
  }

  #held(info: Events['held']): void {
    const { model, plan } = this.#world;
    model.note(`held ${info.id}`);
    const delivery = model.deliveries.get(info.id);
    model.givenUpSeq = model.next();
    if (delivery === undefined) {
      model.bad(`held says an unknown batch ${info.id}`);
      return;
    }
    checkFailure(model, delivery, info.error, 'held');
    if (plan.giveUp !== 'hold' || delivery.attempt < plan.attempts) model.bad('held too early');
    model.move(delivery, 'held', model.now);
  }

  #dropped(info: Events['dropped']): void {
    const { model, plan } = this.#world;
    model.note(`dropped ${info.size} (${info.reason})`);
    model.counts.dropped += info.size;
    if (info.reason === 'overflow') this.#droppedForRoom(info.size);
    else if (!plan.deadLetter) this.givenUp(this.#failedOf(info.size, info.error), info.error);
    else {
      const handed = model.handed.shift();
      if (handed === undefined) model.bad('dropped says a batch that was not handed over');
      else if (handed.items.length !== info.size || handed.lastError !== info.error)
        model.bad('dropped says a wrong size or error');
    }
  }

  /** The batch of that size whose last attempt failed for that reason. */
  #failedOf(size: number, error: unknown): Delivery | undefined {
    const { model, plan } = this.#world;
    return [...model.deliveries.values()].find(
      (each) =>
        each.phase === 'running' &&
        each.items.length === size &&
        (each.answer === undefined
          ? error instanceof TimeoutError && model.now - each.startedAt >= plan.timeout
          : each.answer.error === error),
    );
  }

  /** Dropped after its last attempt. */
  givenUp(delivery: Delivery | undefined, error: unknown): void {
    const { model, plan } = this.#world;
    model.givenUpSeq = model.next();
    if (delivery === undefined) {
      model.bad(`a batch is dropped that has not failed: ${String(error)}`);
      return;
    }
    checkFailure(model, delivery, error, 'dropped');
    if (plan.giveUp !== 'drop' || delivery.attempt < plan.attempts) model.bad('dropped too early');
    model.move(delivery, 'dropped');
    if (model.closing !== undefined && !plan.deadLetter) model.droppedLate.push(...delivery.items);
    for (const item of delivery.items) model.finish(item, 'dropped');
    if (!plan.deadLetter) model.release(delivery);
  }

  #droppedForRoom(size: number): void {
    const { model, plan } = this.#world;
    model.overflowSeq = model.next();
    const newest = model.items.findLast((item) => item.fate === 'called');
    if (model.pending + this.#claims(newest) < plan.maxPending && model.waiting.length === 0)
      model.bad(`${plan.overflow} although there is room`);
    if (plan.overflow === 'dropNewest') {
      if (size !== 1 || newest === undefined) model.bad('dropNewest dropped something else than the newest');
      else model.turnAway(newest, 'dropped');
      return;
    }
    if (plan.overflow !== 'dropOldest') model.bad(`dropped for room with overflow ${plan.overflow}`);
    model.crowdSeq = model.next();
    const candidates = model.joined.filter((item) => item.fate === 'accepted' && item.batch?.phase !== 'running');
    if (candidates.length < size) model.bad(`dropped ${size} for room, only ${candidates.length} are not in flight`);
    for (const item of candidates.slice(0, size)) {
      model.finish(item, 'dropped');
      const { batch } = item;
      if (batch === undefined || batch.phase === 'dropped') continue;
      model.move(batch, 'dropped');
      model.release(batch);
    }
  }

  /** Calls made before that of `item` that have not returned: they may be taken. */
  #claims(item: Item | undefined): number {
    const before = item?.id ?? Infinity;
    return this.#world.model.items.filter(({ id, fate }) => fate === 'called' && id < before).length;
  }

  #refused({ item: id, error }: Events['refused']): void {
    const { model } = this.#world;
    model.counts.refused++;
    const item = model.items[id];
    if (item === undefined) {
      model.bad(`an unknown item ${String(id)} is refused`);
      return;
    }
    model.note(`refused ${id}: ${error.name} ${error.message}`);
    if (error instanceof ItemError) this.#refusedByHook(item, error);
    else if (error instanceof OverflowError) this.#refusedForRoom(item);
    else if (error instanceof ClosedError && model.closing !== undefined) this.#refusedByClose(item);
    else model.bad(`item ${id} is refused with ${String(error)}`);
  }

  #refusedByHook(item: Item, { cause }: ItemError): void {
    const { model, plan } = this.#world;
    if (cause instanceof TimeoutError) {
      if (isLate(model, (model.onTheWay?.since ?? NaN) + plan.timeout))
        model.bad(`item ${item.id} is refused for its slowness at the wrong time`);
      model.arrived();
    } else if (!model.hookErrors.has(cause)) model.bad(`item ${item.id} is refused for ${String(cause)}`);
    // Accepted and refused without a hook that saw it.
    if (item.fate === 'called' || item.fate === 'waiting') model.accept(item);
    model.finish(item, 'refused');
  }

  #refusedForRoom(item: Item): void {
    const { model, plan } = this.#world;
    const room = model.pending + this.#claims(item) < plan.maxPending;
    // Those whose call has not returned may be in line, too; with dropOldest room is just being made for one of them.
    const makesRoom = plan.overflow === 'dropOldest';
    const inLine = model.items.some(({ id, fate, outcome }) => {
      return id < item.id && (fate === 'waiting' || (fate === 'called' && (outcome === 'pending' || makesRoom)));
    });
    if (room && !inLine) model.bad(`item ${item.id} is refused although there is room`);
    model.turnAway(item, 'refused');
  }

  #refusedByClose(item: Item): void {
    const { model } = this.#world;
    if (item.fate !== 'accepted') {
      model.turnAway(item, 'refused');
      return;
    }
    model.refusedByClose++;
    model.onTheWay = undefined;
    if (item.joined >= 0) model.unheard(item);
    if (!model.abandoned) model.bad(`item ${item.id} is refused by a close that delivers`);
    model.finish(item, 'refused');
  }

  #drained(): void {
    const { model } = this.#world;
    model.note('drained');
    leaveFailed(model);
    if (model.pending > 0) model.bad(`drained while ${model.pending} items are pending`);
  }
}
