import { MemoryBatcher } from '../../../collectors/index.js';
import { collect, Feed } from '../../../distributed/index.js';
import { TestClock, type Random } from '../../../src/testing.js';
import { FaultyLog, type Reader } from './faulty-log.js';

interface Plan {
  readonly items: number;
  readonly poison: ReadonlySet<number>;
  readonly frame: number;
  readonly readers: number;
  readonly maxItems: number;
  /** The steps in which the sink is down. */
  readonly outage: readonly [from: number, to: number];
  /** In an outage: the sink works again for so many steps after as many; 0: it does not. */
  readonly flaps: number;
  readonly kills: number;
  readonly closes: number;
}

interface Running extends Reader {
  outstanding(): number;
  close(): Promise<unknown>;
}

/** Some processes that read one log, are killed, closed and started anew, while it and their sink fail. */
export class World {
  readonly violations: string[] = [];
  readonly counts = { stored: 0, duplicates: 0, buried: 0, wronged: 0, killed: 0, closed: 0 };
  readonly #clock = new TestClock();
  readonly #log: FaultyLog;
  readonly #plan: Plan;
  readonly #stored = new Set<number>();
  readonly #readers: Running[] = [];
  #down = false;
  #next: number;

  constructor(
    readonly rng: Random,
    readonly note: (line: string) => void,
  ) {
    const items = 1 + rng.int(60);
    const some = (most: number): number => (rng.chance(0.5) ? 0 : rng.next() * most);
    this.#plan = {
      items,
      poison: new Set(Array.from({ length: rng.int(3) }, () => rng.int(items))),
      frame: 1 + rng.int(12),
      readers: 1 + rng.int(2),
      maxItems: 1 + rng.int(50),
      outage: rng.pick([
        [0, 60],
        [rng.int(30), rng.int(60)],
        [-1, -1],
      ] as const),
      flaps: rng.chance(0.3) ? 1 + rng.int(6) : 0,
      kills: some(0.04),
      closes: some(0.04),
    };
    this.#next = items;
    const faults = { expired: some(0.1), ackLost: some(0.1), confirmationLost: some(0.1), away: some(0.2) };
    this.#log = new FaultyLog(this.#clock, rng, faults);
  }

  async run(): Promise<void> {
    const { items, frame, readers, outage, flaps, kills, closes, poison } = this.#plan;
    this.note(JSON.stringify({ ...this.#plan, poison: [...poison], faults: this.#log.faults }));
    for (let n = 0; n < items;) {
      const size = Math.min(1 + this.rng.int(frame), items - n);
      this.#log.append(`f${n}`, Array.from({ length: size }, (_, i) => n + i)); // prettier-ignore
      n += size;
    }
    for (let n = 0; n < readers; n++) this.#start();
    for (let step = 0; step < 60; step++) {
      const works = flaps > 0 && Math.floor(step / flaps) % 2 === 1;
      this.#down = step >= outage[0] && step < outage[1] && !works;
      await this.#clock.advance(this.rng.int(200));
      this.#look();
      if (this.rng.chance(kills)) this.#kill();
      if (this.rng.chance(closes)) await this.#replace();
    }
    if (outage[1] === 60 && outage[0] === 0 && flaps === 0 && this.#log.dead.size > 0)
      this.#bad(`buried in an outage: ${[...this.#log.dead.keys()].join()}`);
    await this.#recover();
    for (const reader of [...this.#readers]) await this.#close(reader);
    this.#judge();
  }

  /** Nothing fails any more, and a trickle of items shows that the sink works: all is delivered or buried. */
  async #recover(): Promise<void> {
    this.#down = false;
    this.#log.faults = { expired: 0, ackLost: 0, confirmationLost: 0, away: 0 };
    for (let step = 0; step < 400 && this.#log.messages.size > 0; step++) {
      // Time for what waits between two of them, or nothing would ever be the last.
      if (step % 4 === 0 && step < 300) this.#log.append(`f${this.#next}`, [this.#next++]);
      await this.#clock.advance(1000);
      this.#look();
    }
  }

  #judge(): void {
    const { poison, flaps } = this.#plan;
    const dead = [...this.#log.dead.values()];
    this.counts.stored = this.#stored.size;
    this.counts.buried = dead.length;
    for (let n = 0; n < this.#next; n++) {
      const times = dead.filter((one) => one === n).length;
      // A frame that comes again, since its ack got lost or a part was not stored, may be split otherwise.
      // A sink that was down at each attempt of an item, and up in between, looks like an item that is to blame.
      const blamed = poison.has(n) || (flaps > 0 && times > 0);
      const right = blamed ? times === 1 || (times > 1 && this.#repeats) : times === 0;
      if (!right) this.#bad(`${n} was buried ${times} times`);
      if (!poison.has(n)) this.counts.wronged += times;
      if (!blamed && !this.#stored.has(n)) this.#bad(`${n} was not delivered`);
    }
    const left = [...this.#log.messages.values()].map(({ id, attempt }) => `${id} (attempt ${attempt})`);
    if (left.length > 0) this.#bad(`still in the log: ${left.join()}`);
  }

  get #repeats(): boolean {
    return this.counts.killed + this.#log.repeats > 0;
  }

  #look(): void {
    const most = this.#plan.maxItems + this.#plan.frame - 1;
    for (const reader of this.#readers) {
      if (reader.outstanding() > most) this.#bad(`${reader.outstanding()} items are here, and the bound is ${most}`);
    }
  }

  #bad(what: string): void {
    this.note(`BAD ${what}`);
    this.violations.push(what);
  }

  // Processes

  #start(): void {
    const { rng } = this;
    const reader: Reader = { alive: true };
    const options = {
      clock: this.#clock,
      maxBatchSize: 1 + rng.int(20),
      maxTimeSinceFirstItem: 20,
      flushConcurrency: 1 + rng.int(3),
      retry: { attempts: 1 + rng.int(3), minDelay: 10, maxDelay: 100, jitter: false },
      batchFlush: ({ items }: { items: readonly number[] }) => this.#flush(items, reader),
    };
    const { maxItems } = this.#plan;
    const log = this.#log.openFor(reader);
    if (rng.chance(0.5)) {
      const collecting = collect(log, { ...options, maxDeliveries: 3, maxItems });
      collecting.batcher.on('failed', () => {});
      const running = Object.assign(reader, {
        outstanding: () => collecting.outstanding,
        close: () => collecting.close({ timeout: 500 }),
      });
      this.#readers.push(running);
      return;
    }
    const batcher = new MemoryBatcher<number>({ ...options, giveUp: rng.pick(['split', 'drop'] as const) });
    batcher.on('failed', () => {});
    const feed = new Feed(log.source(), batcher, { clock: this.#clock, maxDeliveries: 3, maxItems });
    const close = async (): Promise<void> => {
      await feed.close({ timeout: 500 });
      await batcher.close({ flush: false });
    };
    this.#readers.push(Object.assign(reader, { outstanding: () => feed.outstanding, close }));
  }

  async #flush(items: readonly number[], reader: Reader): Promise<void> {
    await new Promise<void>((resolve) => void this.#clock.setTimer(resolve, this.rng.int(30)));
    const bad = items.filter((n) => this.#plan.poison.has(n));
    const fails = this.#down || bad.length > 0 || !reader.alive;
    this.note(`${this.#clock.now()} flush of ${items.join()}${fails ? ' fails' : ''}`);
    if (fails) throw new Error('failed');
    for (const n of items) {
      if (this.#stored.has(n)) this.counts.duplicates++;
      this.#stored.add(n);
    }
  }

  #kill(): void {
    const reader = this.rng.pick(this.#readers);
    this.note(`${this.#clock.now()} a process is killed`);
    this.counts.killed++;
    reader.alive = false;
    this.#readers.splice(this.#readers.indexOf(reader), 1);
    this.#start();
  }

  async #replace(): Promise<void> {
    const reader = this.rng.pick(this.#readers);
    this.#start();
    await this.#close(reader);
  }

  async #close(reader: Running): Promise<void> {
    this.note(`${this.#clock.now()} a process is closed`);
    this.counts.closed++;
    this.#readers.splice(this.#readers.indexOf(reader), 1);
    const closing = { done: false };
    const closed = reader.close().then(() => (closing.done = true));
    for (let step = 0; step < 40 && !closing.done; step++) await this.#clock.advance(200);
    if (!closing.done) this.#bad('close() takes longer than its timeout');
    else await closed;
    if (reader.outstanding() > 0) this.#bad(`${reader.outstanding()} items are kept after close()`);
  }
}
