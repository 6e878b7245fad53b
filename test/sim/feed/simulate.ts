import { MemoryBatcher } from '../../../collectors/index.js';
import { Feed, type Delivery, type Source } from '../../../distributed/index.js';
import { random, TestClock, type Random } from '../../../src/testing.js';

interface Message {
  readonly id: string;
  readonly items: readonly number[];
  attempt: number;
  /** From when it may be delivered; each delivery begins a lease. */
  visible: number;
}

/** A log in memory that redelivers, lets leases end, loses acks and reorders, as one seed says. */
class FaultyLog {
  readonly messages = new Map<string, Message>();
  readonly dead = new Map<string, number>();
  readonly leaseTime = 1000;
  faulty = true;
  #stopped = false;

  constructor(
    readonly clock: TestClock,
    readonly rng: Random,
  ) {}

  append(id: string, items: readonly number[]): void {
    if (!this.messages.has(id)) this.messages.set(id, { id, items, attempt: 0, visible: this.clock.now() });
  }

  source(): Source<number> {
    const deliveries = async function* (log: FaultyLog): AsyncGenerator<Delivery<number>> {
      while (!log.#stopped) {
        const ready = [...log.messages.values()].filter(({ visible }) => visible <= log.clock.now());
        if (ready.length > 0) yield log.#deliver(log.rng.pick(ready));
        else await new Promise<void>((resolve) => void log.clock.setTimer(resolve, 10));
      }
    };
    return {
      leaseTime: this.leaseTime,
      stop: () => void (this.#stopped = true),
      [Symbol.asyncIterator]: () => deliveries(this),
    };
  }

  #deliver(message: Message): Delivery<number> {
    message.attempt++;
    const { id, items, attempt } = message;
    // Now and then the lease is over at once: it is delivered again while it is being worked on.
    const expired = this.faulty && this.rng.chance(0.05);
    message.visible = this.clock.now() + (expired ? 0 : this.leaseTime);
    const mine = (): boolean => this.messages.get(id)?.attempt === attempt;
    const fails = (chance: number): boolean => this.faulty && this.rng.chance(chance);
    return {
      id,
      items,
      attempt,
      ack: async () => {
        if (fails(0.05)) return false; // it got lost: the message comes again
        this.messages.delete(id);
        return true;
      },
      retry: (delay = 0) => {
        if (mine()) message.visible = this.clock.now() + delay;
      },
      extend: () => {
        if (mine()) message.visible = this.clock.now() + this.leaseTime;
      },
      requeue: async (some, key) => {
        if (fails(0.05)) throw new Error('the log is away');
        this.append(`${id}#${key}`, some as number[]);
      },
      bury: async (item) => {
        if (fails(0.05)) throw new Error('the log is away');
        const number = item as number;
        this.dead.set(String(number), number);
      },
    };
  }
}

/** One run. Throws with what went wrong. */
export async function simulate(seed: number): Promise<void> {
  const rng = random(seed);
  const clock = new TestClock();
  const log = new FaultyLog(clock, rng);
  const count = 1 + rng.int(60);
  const poison = new Set(Array.from({ length: rng.int(3) }, () => rng.int(count)));
  for (let n = 0; n < count;) {
    const size = 1 + rng.int(12);
    log.append(
      `f${n}`,
      Array.from({ length: Math.min(size, count - n) }, (_, i) => n + i),
    );
    n += size;
  }
  const stored = new Set<number>();
  let outage = rng.chance(0.3);
  const batcher = new MemoryBatcher<number>({
    clock,
    maxBatchSize: 1 + rng.int(20),
    maxTimeSinceFirstItem: 20,
    flushConcurrency: 1 + rng.int(3),
    retry: { attempts: 1 + rng.int(3), minDelay: 10, maxDelay: 100, jitter: false },
    giveUp: rng.pick(['split', 'drop'] as const),
    async batchFlush({ items }) {
      await new Promise<void>((resolve) => void clock.setTimer(resolve, rng.int(30)));
      if (outage || items.some((n) => poison.has(n))) throw new Error('failed');
      for (const n of items) stored.add(n);
    },
  });
  batcher.on('failed', () => undefined);
  const feed = new Feed(log.source(), batcher, { clock, maxDeliveries: 3, maxItems: 1 + rng.int(50) });
  for (let step = 0; step < 60; step++) await clock.advance(rng.int(200));
  const blamed = [...log.dead.values()].filter((n) => !poison.has(n));
  if (outage && log.dead.size > 0) throw new Error(`seed ${seed}: buried in an outage: ${[...log.dead.keys()].join()}`);
  outage = false;
  log.faulty = false;
  const healthy = Array.from({ length: count }, (_, n) => n).filter((n) => !poison.has(n));
  for (let step = 0; step < 400 && !healthy.every((n) => stored.has(n)); step++) await clock.advance(1000);
  blamed.push(...[...log.dead.values()].filter((n) => !poison.has(n)));
  const lost = healthy.filter((n) => !stored.has(n) && !log.dead.has(String(n)));
  if (lost.length > 0) throw new Error(`seed ${seed}: not delivered: ${lost.join()}`);
  if (blamed.length > 0) throw new Error(`seed ${seed}: buried although healthy: ${blamed.join()}`);
  const kept = [...poison].filter(
    (n) => !log.dead.has(String(n)) && ![...log.messages.values()].some(({ items }) => items.includes(n)),
  );
  if (kept.length > 0) throw new Error(`seed ${seed}: poison has vanished: ${kept.join()}`);
  const closing = feed.close({ timeout: 1000 });
  for (let step = 0; step < 20; step++) await clock.advance(200);
  await closing;
}
