import type { Clock } from '../src/index.js';
import { BadItem, type Delivery, type Source } from './contract.js';
import { failureOf, isIsolated, isSuspect, itemId, judge, wasTried, type Failure } from './verdict.js';
import {
  backoffOf,
  checkFeedOptions,
  countOr,
  systemClock,
  type FeedCounts,
  type FeedOptions,
  type FeedTarget,
} from './feed-options.js';
import { SinkHealth } from './sink-health.js';
import { after, contained, ignore, reportEnd } from './waits.js';

type Counts = { -readonly [Name in keyof FeedCounts]: FeedCounts[Name] };

/**
 * Feeds a collector from a log: each item is added with `deliverItem`, and a message is acknowledged when its last item is
 * settled. Items that the collector gives up go back to the log, in smaller messages if others of its message were delivered;
 * an item that keeps failing while others are delivered goes to the dead letters.
 */
export class Feed<Item, Added = Item> {
  /** Settles when the source has ended; rejects with its error if it cannot be read any more. */
  readonly done: Promise<void>;
  readonly #counts: Counts = { deliveries: 0, items: 0, acked: 0, ackLost: 0, retried: 0, requeued: 0, buried: 0 };
  readonly #source: Source<Item>;
  readonly #batcher: FeedTarget<Added>;
  readonly #options: Required<Omit<FeedOptions<Item, Added>, 'map' | 'alone'>> & FeedOptions<Item, Added>;
  readonly #clock: Clock;
  /** With the number of items that had been delivered when each was taken; a message leaves when it is acknowledged or given back. */
  readonly #outstanding = new Map<Delivery<Item>, number>();
  readonly #settling = new Set<Promise<void>>();
  readonly #health: SinkHealth;
  #items = 0;
  #closing = false;
  #takingBack = false;
  #wake: (() => void) | undefined;
  #lease: unknown;

  constructor(source: Source<Item>, batcher: FeedTarget<Added>, options: FeedOptions<Item, Added> = {}) {
    checkFeedOptions(options);
    this.#source = source;
    this.#batcher = batcher;
    this.#options = {
      ...options,
      maxDeliveries: countOr('maxDeliveries', options.maxDeliveries, 5),
      maxItems: countOr('maxItems', options.maxItems, 3000),
      backoff: backoffOf(options.backoff),
      clock: options.clock ?? systemClock,
    };
    this.#clock = this.#options.clock;
    this.#health = new SinkHealth(this.#clock, this.#options.backoff, {
      flushHeld: () => ignore(batcher.flush()),
      takeBack: () => this.#takeBack(),
    });
    // Given back to the log, not lost: without a listener the collector would warn about it.
    for (const target of this.#targets()) target.on('dropped', () => undefined);
    batcher.on('held', ({ size }) => this.#health.held(size));
    this.#extendLeases();
    this.done = this.#run();
    this.done.catch((error: unknown) => reportEnd(error));
  }

  /** Counts since the start. */
  get counts(): FeedCounts {
    return this.#counts;
  }

  /** Items that are here and not settled. */
  get outstanding(): number {
    return this.#items;
  }

  /**
   * Stops pulling, delivers the items that are here, and gives the rest back to the log: messages fetched ahead, and items
   * not delivered within `timeout` (30,000 ms by default). The collector stays open, with items that the log has again:
   * close it with `{ flush: false }`. Resolves to the number of messages given back.
   */
  async close({ timeout = 30_000 }: { timeout?: number } = {}): Promise<{ givenBack: number }> {
    this.#closing = true;
    this.#wake?.();
    this.#source.stop();
    const late = after(this.#clock, timeout);
    const flushed = Promise.all(this.#targets().map((target) => target.flush({ timeout }))).then(
      () => true,
      () => false,
    );
    const delivered = await Promise.race([flushed, late.passed.then(() => false)]);
    // Delivered messages are still to be acknowledged. The collector's promises may settle a moment after its flush.
    const moment = after(this.#clock, 0);
    await moment.passed;
    while (this.#outstanding.size > 0 && !late.is && (delivered || this.#settling.size > 0)) {
      await Promise.race([...this.#settling, late.passed, this.#roomOr(undefined)]);
    }
    const givenBack = this.#outstanding.size;
    for (const delivery of this.#outstanding.keys()) this.#giveBack(delivery, 0);
    this.#clock.clearTimer(this.#lease);
    this.#health.stop();
    const ended = after(this.#clock, Math.min(1000, timeout));
    await Promise.race([this.done.catch(() => undefined), ended.passed]);
    late.cancel();
    ended.cancel();
    return { givenBack };
  }

  async #run(): Promise<void> {
    for await (const delivery of this.#source) {
      if (this.#closing) {
        this.#giveBack(delivery, 0);
        continue;
      }
      this.#take(delivery);
      while (this.#isFull()) await this.#roomOr(undefined);
      // Pulling on while nothing succeeds would only use up the attempts of what comes next.
      const pause = this.#health.pause;
      if (pause > 0) await this.#roomOr(pause);
    }
  }

  #isFull(): boolean {
    return this.#items >= this.#options.maxItems && !this.#closing;
  }

  #take(delivery: Delivery<Item>): void {
    const { items } = delivery;
    this.#counts.deliveries++;
    this.#counts.items += items.length;
    this.#items += items.length;
    this.#outstanding.set(delivery, this.#health.successes);
    const failures: Failure[] = [];
    let left = items.length;
    const one = (): void => {
      if (--left === 0) this.#begin(delivery, failures);
    };
    const delivered = (): void => {
      this.#health.success();
      one();
    };
    if (left === 0) this.#begin(delivery, failures);
    const again = delivery.attempt > 2 || isSuspect(delivery.id);
    const target = again && items.length === 1 ? (this.#options.alone ?? this.#batcher) : this.#batcher;
    const isolated = again && this.#options.alone === undefined;
    if (isolated) ignore(target.flush());
    items.forEach((item, index) => {
      const failed = (error: unknown): void => {
        failures.push(failureOf(index, item, error, this.#takingBack));
        one();
      };
      if (item instanceof BadItem) failed(item.error);
      else this.#add(target, item, delivery, index).then(delivered, failed);
    });
    if (isolated) ignore(target.flush());
  }

  #add(target: FeedTarget<Added>, item: Item, delivery: Delivery<Item>, index: number): Promise<void> {
    const { map } = this.#options;
    if (map === undefined) return target.deliverItem(item as unknown as Added);
    try {
      return target.deliverItem(map(item, { id: itemId(delivery, index), attempt: delivery.attempt }));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Single items that fail while nothing else is delivered: the log brings them again when something else may be. */
  #takeBack(): void {
    this.#takingBack = true;
    contained(() => this.#batcher.clear());
    // Their promises have been rejected by then.
    this.#clock.setTimer(() => (this.#takingBack = false), 0);
  }

  #begin(delivery: Delivery<Item>, failures: readonly Failure[]): void {
    const settling = this.#settle(delivery, failures).finally(() => this.#settling.delete(settling));
    this.#settling.add(settling);
  }

  async #settle(delivery: Delivery<Item>, failures: readonly Failure[]): Promise<void> {
    const taken = this.#outstanding.get(delivery);
    if (taken === undefined) return; // given back while the collector still had it
    try {
      const retry = failures.length > 0 && (await this.#handle(delivery, failures, taken));
      if (retry) this.#giveBack(delivery, this.#options.backoff(delivery.attempt));
      else if (await delivery.ack()) this.#counts.acked++;
      else this.#counts.ackLost++;
    } catch {
      // The log did not take a part: everything stays in this message.
      this.#giveBack(delivery, this.#options.backoff(delivery.attempt));
    }
    this.#leave(delivery);
  }

  /** Resolves to whether the message is needed again. Parts are stored elsewhere before the message is acknowledged. */
  async #handle(delivery: Delivery<Item>, failures: readonly Failure[], taken: number): Promise<boolean> {
    const { maxDeliveries } = this.#options;
    const nothing = failures.length === delivery.items.length && failures.every(wasTried);
    const evidence = {
      maxDeliveries,
      splits: this.#options.alone !== undefined,
      ...this.#health.evidence(nothing ? delivery.id : undefined, isIsolated(delivery), taken),
    };
    const verdict = judge(delivery, failures, evidence);
    const { items } = delivery;
    const itemAt = (index: number): Item | BadItem => items[index] as Item | BadItem;
    for (const { index, error } of verdict.bury) {
      await delivery.bury(itemAt(index), `${index}`, error);
      this.#counts.buried++;
    }
    for (const { indexes, key } of verdict.requeue) {
      await delivery.requeue(indexes.map(itemAt), key);
      this.#counts.requeued += indexes.length;
    }
    if (!verdict.retry) this.#health.forget(delivery.id);
    return verdict.retry;
  }

  #giveBack(delivery: Delivery<Item>, delay: number): void {
    this.#counts.retried++;
    this.#leave(delivery);
    // If this fails, the log delivers the message again when its lease ends.
    contained(() => delivery.retry(delay));
  }

  #leave(delivery: Delivery<Item>): void {
    if (!this.#outstanding.delete(delivery)) return;
    this.#items -= delivery.items.length;
    if (this.#items < this.#options.maxItems || this.#closing) this.#wake?.();
  }

  #targets(): FeedTarget<Added>[] {
    const { alone } = this.#options;
    return alone === undefined ? [this.#batcher] : [this.#batcher, alone];
  }

  #extendLeases(): void {
    this.#lease = this.#clock.setTimer(() => {
      for (const delivery of this.#outstanding.keys()) contained(() => delivery.extend());
      this.#extendLeases();
    }, this.#source.leaseTime / 3);
  }

  async #roomOr(delay: number | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (delay !== undefined) this.#clock.setTimer(resolve, delay);
    });
    this.#wake = undefined;
  }
}
