import {
  BatchPlease,
  CloseError,
  ClosedError,
  FlushError,
  ItemError,
  OverflowError,
  TimeoutError,
  type Awaitable,
  type BatchPleaseOptions,
  type Clock,
  type FlushContext,
  type Trigger,
} from 'batch-please';
import { TestClock, type Random } from 'batch-please/testing';
import { drawManner, type Feature, type Manners, type Plan } from './plan.js';

interface State {
  items: number[];
  prepared: boolean;
}

type Fate = 'called' | 'waiting' | 'accepted' | 'delivered' | 'refused' | 'dropped' | 'left' | 'away';

interface Item {
  id: number;
  weight: number;
  /** When it was called for, in the order of all events. */
  seq: number;
  /** And when it was surely accepted. */
  acceptedSeq: number;
  /** Called for from outside, and taken at once: its place in the order is known. */
  direct: boolean;
  waited: boolean;
  fate: Fate;
  /** It was accepted within these times. */
  from: number;
  to: number;
  /** Its place among those that have joined. */
  joined: number;
  joinedSeq: number;
  joinedAt: number;
  batch: Delivery | undefined;
  finishedSeq: number;
  /** The hook that failed for it said this. */
  verb: string;
  outcome: 'none' | 'pending' | 'resolved' | 'rejected';
  outcomeSeq: number;
  outcomeFate: Fate;
  error: unknown;
  heard: unknown[] | undefined;
  signal: AbortSignal | undefined;
}

/** A batch as the sink sees it. */
interface Delivery {
  id: string;
  state: State;
  items: Item[];
  reason: Trigger;
  attempt: number;
  startedAt: number;
  lane: boolean;
  phase: 'running' | 'parked' | 'held' | 'delivered' | 'dropped' | 'left';
  /** What the attempt has answered in time. */
  answer: { ok: boolean; error: unknown } | undefined;
  sent: State | undefined;
  retryAt: number;
  phaseSeq: number;
  lastError: unknown;
  chore: { attempt: number; running: boolean; startedAt: number; retryAt: number; seq: number } | undefined;
}

interface Ask {
  seq: number;
  at: number;
  timeout: number;
  signal: AbortSignal | undefined;
  covered: Item[];
  outcome: 'pending' | 'resolved' | 'rejected';
}

interface Closing {
  seq: number;
  at: number;
  timeout: number;
  flush: boolean;
  outcome: 'pending' | 'resolved' | 'rejected';
  error: unknown;
  settledAt: number;
}

class Oops extends Error {}

/**
 * One run: a batcher, hooks that behave as badly as the plan says, and a record of what really happened, made by the
 * hooks themselves. Everything that the batcher says and does is held against it.
 */
export class World {
  readonly violations: string[] = [];
  readonly clock = new TestClock();
  readonly batcher: BatchPlease<number, State>;
  readonly items: Item[] = [];
  readonly #joined: Item[] = [];
  readonly #waiting: Item[] = [];
  readonly #deliveries = new Map<string, Delivery>();
  readonly #byState = new Map<State, Delivery>();
  readonly #asks: Ask[] = [];
  readonly #demands: { seq: number; at: number }[] = [];
  readonly #flushTimes: number[] = [];
  readonly #weighed: { seq: number; weight: number }[] = [];
  readonly #terminated: (State | undefined)[] = [];
  readonly #counts = { refused: 0, dropped: 0, flushes: 0, delivered: 0 };
  readonly #hookErrors = new Set<unknown>();
  #calm = false;
  #seq = 0;
  #depth = 0;
  #reentries = 0;
  #timers = 0;
  #lastJoined: number | undefined;
  #wantedSeq = -1; // shouldFlush has said yes
  #onTheWay: { since: number } | undefined;
  #busyEnd = -1;
  #stuck = false; // a hook hangs, and nothing will end that
  #refusedAll = 0;
  /** Dropped while it closes. */
  readonly #droppedLate: Item[] = [];
  /** Handed to the dead letter hook, and not told of yet. */
  readonly #handed: Delivery[] = [];
  #overflowSeq = -1;
  #givenUpSeq = -1;
  #drained = 0;
  #closedEvents: { undelivered: number }[] = [];
  #closing: Closing | undefined;

  constructor(
    readonly plan: Plan,
    readonly random: Random,
    readonly without: ReadonlySet<Feature>,
    readonly trace: ((line: string) => void) | undefined,
  ) {
    this.batcher = this.#make();
    this.#listen();
  }

  async run(): Promise<void> {
    const { random, plan } = this;
    for (let step = 0; step < plan.steps && this.violations.length === 0; step++) {
      this.#step();
      if (random.chance(0.8)) {
        await this.clock.advance(random.chance(0.3) ? 0 : random.chance(0.8) ? random.int(40) : random.int(400));
        this.#check();
      }
    }
    if (this.violations.length > 0) return;
    if (plan.calm) await this.#end();
    if (this.violations.length === 0) await this.#close();
  }

  note(text: string): void {
    this.trace?.(`${this.clock.now().toFixed(3).padStart(9)}  ${text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}-/g, '#')}`);
  }

  bad(text: string): void {
    this.violations.push(`at ${this.clock.now()}: ${text}`);
    this.note(`!! ${text}`);
  }

  // What is done to the batcher

  #step(): void {
    const { random } = this;
    const dice = random.int(20);
    if (dice < 9) for (let n = 1 + random.int(4); n > 0; n--) this.#add();
    else if (dice < 10) this.#addMany();
    else if (dice < 12) for (let n = 1 + random.int(12); n > 0; n--) this.#add('addItem');
    else if (dice < 14) this.#flush();
    else if (dice < 15 && random.chance(0.1)) this.#startClose();
  }

  #add(verb = this.random.pick(['addItem', 'addItem', 'onError', 'syncAddItem', 'deliverItem'])): void {
    if (this.#depth === 0) this.#admit();
    // Who gets the room that a drop makes is nowhere said.
    if (this.plan.overflow === 'dropOldest' && this.#waiting.length > 0) return;
    const item = this.#newItem(verb);
    const { batcher, random } = this;
    this.note(`${'  '.repeat(this.#depth)}${verb} ${item.id}${item.weight ? ` (weight ${item.weight})` : ''}`);
    if (verb === 'addItem' || verb === 'onError') {
      let heard: ((error: Error) => void) | undefined;
      if (verb === 'onError') {
        item.heard = [];
        heard = (error) => {
          item.heard?.push(error);
          this.note(`onError ${item.id}: ${error.name}`);
          this.#reenter('onError');
        };
      }
      const more = heard === undefined ? batcher.addItem(item.id) : batcher.addItem(item.id, { onError: heard });
      this.#taken(item);
      if (this.#depth === 0 && more && this.#pending() >= this.plan.highWaterMark)
        this.bad(`addItem(${item.id}) said true above the high-water mark`);
      if (this.#depth === 0 && !more && item.fate === 'accepted' && this.#pending() < this.plan.highWaterMark)
        this.bad(`addItem(${item.id}) said false below the high-water mark`);
      return;
    }
    const controller = random.chance(0.15) ? new AbortController() : undefined;
    if (controller !== undefined) this.#abortLater(controller, item);
    item.signal = controller?.signal;
    const full = this.#pending() >= this.plan.maxPending && this.#closing === undefined;
    if (full && controller?.signal.aborted !== true && this.#waits()) {
      item.fate = 'waiting';
      item.waited = true;
      item.direct = false;
      this.#waiting.push(item);
      this.#demanded();
    }
    const options = controller === undefined ? undefined : { signal: controller.signal };
    item.outcome = 'pending';
    const promise =
      verb === 'syncAddItem' ? batcher.syncAddItem(item.id, options) : batcher.deliverItem(item.id, options);
    if (controller?.signal.aborted === true && item.fate === 'called') item.fate = 'away';
    this.#taken(item);
    promise.then(
      () => this.#itemSettled(item, 'resolved', undefined),
      (error: unknown) => this.#itemSettled(item, 'rejected', error),
    );
  }

  #waits(): boolean {
    return this.plan.overflow === 'wait' || (this.plan.overflow === 'dropOldest' && !this.#droppable());
  }

  /** Is there a batch that is not in flight? Something joined that no attempt is running for. */
  #droppable(): boolean {
    for (const delivery of this.#deliveries.values())
      if (delivery.phase === 'parked' || delivery.phase === 'held') return true;
    const loose = this.#joined.filter((item) => item.fate === 'accepted' && item.batch === undefined);
    return loose.length > 0 && (this.#onTheWay === undefined || loose.length >= this.plan.size);
  }

  #addMany(): void {
    if (this.plan.overflow === 'dropOldest' && this.#waiting.length > 0) return;
    this.note('addItems');
    this.batcher.addItems(
      (function* (world: World) {
        for (let n = 0; n < 3; n++) {
          world.#admit();
          const item = world.#newItem('addItem');
          world.note(`  item ${item.id}`);
          yield item.id;
          world.#taken(item);
        }
      })(this),
    );
  }

  #newItem(verb: string): Item {
    const { random, plan } = this;
    const now = this.clock.now();
    const item: Item = {
      id: this.items.length,
      weight:
        plan.weight < Infinity
          ? random.chance(0.1)
            ? plan.weight + random.int(3)
            : random.int(plan.weight / 2 + 1)
          : 0,
      seq: ++this.#seq,
      acceptedSeq: this.#seq,
      direct: this.#depth === 0,
      waited: false,
      fate: 'called',
      from: now,
      to: now,
      joined: -1,
      joinedSeq: -1,
      joinedAt: Infinity,
      batch: undefined,
      finishedSeq: -1,
      verb,
      outcome: 'none',
      outcomeSeq: -1,
      outcomeFate: 'called',
      error: undefined,
      heard: undefined,
      signal: undefined,
    };
    this.items.push(item);
    return item;
  }

  /** The call has returned, or a hook has seen the item. */
  #taken(item: Item): void {
    if (item.fate === 'called') {
      if (this.#closing !== undefined && item.seq > this.#closing.seq)
        this.bad(`item ${item.id} was taken after close`);
      if (this.#pending() >= this.plan.maxPending) this.bad(`item ${item.id} was taken beyond maxPending`);
      item.fate = 'accepted';
    }
  }

  /** Lets in who waits while there is room, as the batcher must have done by now. */
  #admit(): void {
    while (this.#waiting.length > 0 && this.#pending() < this.plan.maxPending && this.#closing === undefined) {
      if (this.#waiting[0] !== undefined) this.#admitted(this.#waiting[0]);
    }
  }

  /** Somebody waits for room, or did so at this moment: that is a demand, made again and again. */
  #crowded(): boolean {
    return this.#waiting.length > 0 || this.items.some((item) => item.waited && item.to === this.clock.now());
  }

  #abortLater(controller: AbortController, item: Item): void {
    const abort = (): void => {
      this.#admit();
      this.note(`abort ${item.id}`);
      if (item.fate === 'waiting') {
        item.fate = 'away';
        this.#waiting.splice(this.#waiting.indexOf(item), 1);
      }
      controller.abort(new Oops(`abort ${item.id}`));
    };
    if (this.random.chance(0.1)) abort();
    else this.clock.setTimer(abort, this.random.int(60) + 0.25);
  }

  #itemSettled(item: Item, outcome: 'resolved' | 'rejected', error: unknown): void {
    this.#leaveFailed();
    item.outcome = outcome;
    item.error = error;
    item.outcomeSeq = ++this.#seq;
    item.outcomeFate = item.fate;
    this.note(`${item.verb} ${item.id} ${outcome}${error instanceof Error ? `: ${error.name}` : ''}`);
    if (outcome === 'resolved') {
      if (item.verb === 'deliverItem' && item.fate !== 'delivered')
        this.bad(`deliverItem(${item.id}) resolved, it is ${item.fate}`);
      if (item.joined < 0) this.bad(`${item.verb}(${item.id}) resolved, it has not joined`);
      if (item.verb === 'syncAddItem' && item.fate === 'accepted' && item.batch !== undefined) {
        const { reason, items } = item.batch;
        const { length } = items;
        const last = items[length - 1] === item;
        if (last && reason === 'size')
          this.bad(`syncAddItem(${item.id}) resolved before the batch that it made full was settled`);
      }
    } else if (error instanceof Oops && error.message.startsWith('abort')) {
      if (item.signal?.aborted !== true) this.bad(`item ${item.id} rejected with a strange abort`);
    } else if (item.fate === 'accepted' && !this.#abandoned())
      this.bad(`${item.verb}(${item.id}) rejected with ${String(error)} while it is pending`);
    else if (item.fate === 'delivered')
      this.bad(`${item.verb}(${item.id}) rejected with ${String(error)}, it is delivered`);
  }

  #demanded(): void {
    this.#demands.push({ seq: ++this.#seq, at: this.clock.now() });
  }

  #flush(): void {
    const { random } = this;
    const timeout = random.chance(0.25) ? 4 * random.int(20) : Infinity;
    const controller = random.chance(0.1) ? new AbortController() : undefined;
    if (controller !== undefined) this.clock.setTimer(() => controller.abort(new Oops('abort')), random.int(40) + 0.25);
    this.note(`${'  '.repeat(this.#depth)}flush${timeout < Infinity ? ` within ${timeout}` : ''}`);
    if (this.#closing === undefined) this.#demanded();
    const ask: Ask = {
      seq: ++this.#seq,
      at: this.clock.now(),
      timeout,
      signal: controller?.signal,
      covered: this.items.filter((item) => item.fate === 'accepted'),
      outcome: 'pending',
    };
    this.#asks.push(ask);
    const closing = this.#closing !== undefined;
    const options = {
      ...(timeout < Infinity && { timeout }),
      ...(controller !== undefined && { signal: controller.signal }),
    };
    const settled = (outcome: 'resolved' | 'rejected', error: unknown): void => {
      ask.outcome = outcome;
      this.note(`flush ${outcome}${error instanceof Error ? `: ${error.name} ${error.message}` : ''}`);
      if (closing) return;
      if (outcome === 'resolved') {
        const left = ask.covered.find((item) => item.fate === 'accepted');
        if (left !== undefined) this.bad(`flush() resolved while item ${left.id} is pending`);
      } else if (error instanceof TimeoutError) {
        const late = this.clock.now() - ask.at - timeout;
        if (!(late >= 0 && late <= 1)) this.bad(`flush() timed out ${late} ms late`);
      } else if (error instanceof FlushError) {
        if (this.#givenUpSeq < ask.seq)
          this.bad(`flush() rejected with ${error.message}, but nothing was held or dropped since`);
      } else if (error instanceof OverflowError) {
        if (this.#overflowSeq < ask.seq) this.bad('flush() rejected with OverflowError, but nothing was dropped since');
      } else if (error instanceof Oops) {
        if (ask.signal?.aborted !== true) this.bad(`flush() rejected with ${error.message}`);
      } else if (!(error instanceof ClosedError && this.#closing !== undefined))
        this.bad(`flush() rejected with ${String(error)}`);
    };
    this.batcher.flush(options).then(
      () => settled('resolved', undefined),
      (error: unknown) => settled('rejected', error),
    );
  }

  #startClose(
    options: { timeout?: number; flush?: boolean } = this.random.pick([
      {},
      {},
      { timeout: 40 },
      { timeout: 0 },
      { flush: false },
      { flush: false, timeout: 100 },
    ]),
  ): void {
    if (this.#closing !== undefined) return;
    this.note(`${'  '.repeat(this.#depth)}close ${JSON.stringify(options)}`);
    const closing: Closing = {
      at: this.clock.now(),
      seq: ++this.#seq,
      timeout: options.timeout ?? 30_000,
      flush: options.flush ?? true,
      outcome: 'pending',
      error: undefined,
      settledAt: Infinity,
    };
    this.#closing = closing;
    if (closing.flush) this.#demanded();
    this.batcher.close(options).then(
      () => Object.assign(closing, { outcome: 'resolved', settledAt: this.clock.now() }),
      (error: unknown) => Object.assign(closing, { outcome: 'rejected', error, settledAt: this.clock.now() }),
    );
  }

  /** Everybody behaves from now on: what has been accepted has to be delivered. */
  async #end(): Promise<void> {
    this.note('-- from here on the hooks behave');
    this.#calm = true;
    for (let i = 0; i < 4; i++) {
      await this.clock.advance(150);
      this.#check();
    }
    if (this.#stuck || this.violations.length > 0 || this.#closing !== undefined) return;
    const { plan } = this;
    if (plan.age < Infinity && plan.maxPending === Infinity && !this.without.has('heldOverdue')) {
      for (let i = 0; i < 3; i++) {
        this.#add('addItem');
        await this.clock.advance(500);
        this.#check();
      }
      if (this.#pending() > 0)
        this.bad(`${this.#pending()} items stay pending although they are too old and the sink works`);
    }
    // Again: those who wait for room come after the first.
    for (let i = 0; i < 2 || (this.#waiting.length > 0 && i < 200); i++) {
      this.#flush();
      await this.clock.advance(200);
      this.#check();
    }
    if (this.#pending() > 0) this.bad(`${this.#pending()} items stay pending after flush() although the sink works`);
    if (this.#asks.some((ask) => ask.outcome === 'pending'))
      this.bad('a flush() does not settle although the sink works');
  }

  async #close(): Promise<void> {
    this.#startClose();
    const closing = this.#closing;
    if (closing === undefined) return;
    for (let i = 0; i < 6 && closing.outcome === 'pending'; i++) {
      await this.clock.advance(40);
      this.#check();
      if (this.#depth === 0 && this.random.chance(0.2)) this.#add();
    }
    await this.clock.advance(closing.timeout + 1100);
    await this.clock.advance(0);
    this.#check();
    if (this.violations.length === 0) this.#checkClosed(closing);
  }

  #abandoned(): boolean {
    const closing = this.#closing;
    return (
      closing !== undefined &&
      (!closing.flush || this.clock.now() >= closing.at + closing.timeout || closing.outcome !== 'pending')
    );
  }

  // The hooks

  #make(): BatchPlease<number, State> {
    const { plan, random } = this;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the clock below has a `this` of its own
    const world = this;
    const clock: Clock = {
      now: () => this.clock.now(),
      setTimer(fn, ms) {
        world.#timers++;
        const timer = { handle: undefined as unknown, done: false };
        timer.handle = world.clock.setTimer(() => {
          world.#timers--;
          timer.done = true;
          fn();
        }, ms);
        return timer;
      },
      clearTimer(handle) {
        const timer = handle as { handle: unknown; done: boolean };
        if (timer.done) world.bad('a timer that has rung is cleared');
        timer.done = true;
        world.#timers--;
        world.clock.clearTimer(timer.handle);
      },
    };
    const none = <T>(value: T): T | undefined => ((value as unknown) === Infinity ? undefined : value);
    const options: BatchPleaseOptions<number, State> = {
      clock,
      unref: true,
      maxBatchSize: none(plan.size),
      maxTimeSinceFirstItem: none(plan.age),
      maxTimeSinceLastFlush: none(plan.sinceFlush),
      flushInterval: none(plan.interval),
      flushConcurrency: plan.lanes,
      flushTimeout: none(plan.timeout),
      retry:
        plan.attempts === 1 && random.chance(0.5)
          ? false
          : {
              attempts: plan.attempts,
              minDelay: plan.minDelay,
              maxDelay: plan.maxDelay,
              factor: plan.factor,
              jitter: plan.jitter,
            },
      giveUp: plan.giveUp,
      maxPending: none(plan.maxPending),
      overflow: plan.overflow,
      highWaterMark: none(plan.highWaterMark),
      batchInit: () => this.#init(),
      batchAddItem: (state, id) => this.#join(state, id),
      batchFlush: (state, context) => this.#sink(state, context),
      batchTerminate: (state) => {
        this.#terminated.push(state);
        this.note(`batchTerminate ${state === undefined ? 'nothing' : `[${state.items.join(' ')}]`}`);
        return this.#act(
          plan.terminate,
          Infinity,
          () => undefined,
          () => undefined,
        );
      },
    };
    if (plan.weight < Infinity) {
      options.maxBatchWeight = plan.weight;
      options.weigh = (id) => this.#weigh(id);
    }
    if (plan.shouldFlush !== 'none') options.shouldFlush = () => this.#shouldFlush();
    if (plan.preFlush !== 'none') options.batchPreFlush = (state, context) => this.#prepare(state, context);
    if (plan.postFlush) options.batchPostFlush = (state, context) => this.#after(state, context);
    if (plan.deadLetter) options.batchDeadLetter = (state, error) => this.#deadLetter(state, error);
    return new (class Simulated extends BatchPlease<number, State> {})(options);
  }

  /** Does what the manners say, and reports how it went: at the moment at which it is known, and only if it counts. */
  #act<T>(
    manners: Manners,
    patience: number,
    value: () => T,
    answer: (ok: boolean, error: unknown) => void,
    spent = 0,
  ): Awaitable<T> {
    const { random, clock } = this;
    const manner = this.#calm ? 'now' : drawManner(random, manners);
    const succeed = (): T => {
      const result = value();
      answer(true, undefined);
      return result;
    };
    const failure = (): Error => {
      const error = new Oops(manner);
      this.#hookErrors.add(error);
      answer(false, error);
      return error;
    };
    const later = (delay: number): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        const inTime = spent + delay < patience;
        clock.setTimer(() => {
          if (manner === 'rejectLater') reject(inTime ? failure() : new Oops('too late'));
          else if (inTime) resolve(succeed());
          else resolve(undefined as T);
        }, delay);
      });
    switch (manner) {
      case 'now':
        return succeed();
      case 'soon':
        return Promise.resolve().then(succeed);
      case 'later':
      case 'rejectLater':
        return later(1 + 4 * random.int(9));
      case 'late':
        return later(1 + 4 * random.int(4) + (patience < Infinity ? patience : 0));
      case 'throw':
        throw failure();
      case 'reject':
        return Promise.resolve().then(() => {
          throw failure();
        });
      case 'hang':
        if (patience === Infinity) this.#stuck = true;
        return new Promise<T>(() => undefined);
      case 'twice':
        return {
          // Somebody else's promise, and a bad one.
          then: (ok: (value: T) => void, no: (error: unknown) => void) => {
            ok(succeed());
            ok(undefined as T);
            no(new Oops('twice'));
            throw new Oops('twice');
          },
        } as unknown as PromiseLike<T>;
    }
  }

  #init(): Awaitable<State> {
    this.note('batchInit');
    const called = this.items.findLast((item) => item.fate === 'called');
    if (called !== undefined && this.#pending() < this.plan.maxPending && this.#closing === undefined)
      this.#taken(called);
    this.#reenter('batchInit');
    return this.#entering(
      this.plan.init,
      () => ({ items: [], prepared: false }),
      () => undefined,
    );
  }

  /** An init or an add hook: while it has not answered, no batch can be cut. */
  #entering<T>(manners: Manners, value: () => T, answer: (ok: boolean) => void): Awaitable<T> {
    const way = { since: this.clock.now(), answered: false };
    const result = this.#act(manners, this.plan.timeout, value, (ok) => {
      way.answered = true;
      if (this.#onTheWay === way) this.#arrived();
      answer(ok);
    });
    if (!way.answered) this.#onTheWay = way;
    return result;
  }

  #arrived(): void {
    if (this.#onTheWay !== undefined) this.#busyEnd = this.clock.now();
    this.#onTheWay = undefined;
  }

  #weigh(id: number): number {
    const item = this.#item(id);
    this.#seen(item);
    if (!this.#calm && this.random.chance(this.plan.weighThrows)) {
      const error = new Oops('weigh');
      this.#hookErrors.add(error);
      throw error;
    }
    this.#weighed.push({ seq: ++this.#seq, weight: item.weight });
    return item.weight;
  }

  #seen(item: Item): void {
    if (item.fate === 'waiting') {
      this.#admitted(item);
    } else this.#taken(item);
    if (item.fate !== 'accepted') this.bad(`a hook sees item ${item.id}, which is ${item.fate}`);
  }

  #admitted(item: Item): void {
    item.fate = 'accepted';
    item.to = this.clock.now();
    item.acceptedSeq = ++this.#seq;
    this.#waiting.splice(this.#waiting.indexOf(item), 1);
    if (this.#pending() > this.plan.maxPending) this.bad(`item ${item.id} was let in beyond maxPending`);
  }

  #join(state: State, id: number): Awaitable<State | void> {
    const item = this.#item(id);
    this.note(`batchAddItem ${id} to [${state.items.join(' ')}]`);
    this.#seen(item);
    if (item.joined >= 0) this.bad(`item ${id} is added twice`);
    if (this.#onTheWay !== undefined) this.bad(`item ${id} is added while another is on its way`);
    if (state.items.length >= this.plan.size) this.bad(`item ${id} is added to a full batch`);
    this.#reenter('batchAddItem');
    const { pure } = this.plan;
    return this.#entering<State | void>(
      this.plan.add,
      () => {
        if (item.fate !== 'accepted') return undefined; // refused meanwhile, by a close
        this.#hasJoined(item);
        if (pure) return { items: [...state.items, id], prepared: false };
        state.items.push(id);
        return undefined;
      },
      () => undefined,
    );
  }

  #hasJoined(item: Item): void {
    const previous = this.#joined.findLast((each) => each.direct === item.direct && each.waited === item.waited);
    if ((item.direct || item.waited) && previous !== undefined && previous.seq > item.seq)
      this.bad(`item ${item.id} joins after item ${previous.id}, which came later`);
    item.joined = this.#joined.length;
    item.joinedSeq = ++this.#seq;
    item.joinedAt = this.clock.now();
    this.#joined.push(item);
    this.#lastJoined = item.id;
  }

  #shouldFlush(): boolean {
    if (!this.without.has('reenterShouldFlush')) this.#reenter('shouldFlush');
    const { random, plan } = this;
    if (!this.#calm && random.chance(0.02)) throw new Oops('shouldFlush');
    const wanted = plan.shouldFlush === 'count' ? this.batcher.state.counts.batchItems >= 3 : random.chance(0.15);
    if (wanted) this.#wantedSeq = ++this.#seq;
    return wanted;
  }

  #prepare(state: State, context: FlushContext): Awaitable<State | void> {
    const delivery = this.#attempt(state, context);
    this.note(`batchPreFlush ${delivery.id} attempt ${context.attempt}`);
    this.#reenter('batchPreFlush');
    const { attempt } = delivery;
    return this.#act<State | void>(
      this.plan.pre,
      this.plan.timeout,
      () => (this.plan.preFlush === 'replace' ? { items: [...state.items], prepared: true } : undefined),
      (ok, error) => {
        if (!ok) this.#answer(delivery, attempt, false, error);
      },
    );
  }

  #sink(state: State, context: FlushContext): Awaitable<void> {
    const { plan } = this;
    let delivery: Delivery;
    if (plan.preFlush === 'none') delivery = this.#attempt(state, context);
    else {
      const known = this.#deliveries.get(context.id);
      if (known === undefined) throw new Error('a batch that preFlush has not seen');
      delivery = known;
      if (delivery.phase !== 'running' || delivery.attempt !== context.attempt || delivery.answer !== undefined)
        this.bad(`batchFlush of ${delivery.id} after its attempt ended`);
      if (state.prepared !== (plan.preFlush === 'replace'))
        this.bad('batchFlush does not see what batchPreFlush returned');
    }
    this.note(`batchFlush ${delivery.id} attempt ${context.attempt} (${context.reason}) [${state.items.join(' ')}]`);
    if (context.signal.aborted) this.bad('the signal of a new attempt is aborted');
    delivery.sent = state;
    const { attempt } = delivery;
    this.#reenter('batchFlush');
    const spent = this.clock.now() - delivery.startedAt;
    return this.#act<void>(
      plan.flush,
      plan.timeout,
      () => undefined,
      (ok, error) => this.#answer(delivery, attempt, ok, error),
      spent,
    );
  }

  #answer(delivery: Delivery, attempt: number, ok: boolean, error: unknown): void {
    this.note(`-- ${delivery.id} attempt ${attempt} ${ok ? 'succeeds' : 'fails'}`);
    if (delivery.attempt === attempt && delivery.phase === 'running' && delivery.answer === undefined)
      delivery.answer = { ok, error };
  }

  /** Another attempt starts: the batch must be what it was, and due. */
  #attempt(state: State, context: FlushContext): Delivery {
    const now = this.clock.now();
    const { plan } = this;
    let delivery = this.#deliveries.get(context.id);
    const items = state.items.map((id) => this.#item(id));
    const list = `[${state.items.join(' ')}]`;
    this.#leaveFailed();
    if (delivery === undefined) {
      delivery = {
        id: context.id,
        state,
        items,
        reason: context.reason,
        attempt: 0,
        startedAt: now,
        lane: false,
        phase: 'running',
        answer: undefined,
        sent: undefined,
        retryAt: Infinity,
        phaseSeq: ++this.#seq,
        lastError: undefined,
        chore: undefined,
      };
      this.#deliveries.set(context.id, delivery);
      this.#byState.set(state, delivery);
      this.#checkCut(delivery, now, list);
      for (const item of items) item.batch = delivery;
    } else {
      if (delivery.phase !== 'parked' && delivery.phase !== 'held')
        this.bad(`batch ${list} is tried again while it is ${delivery.phase}`);
      if (delivery.items.map((item) => item.id).join(' ') !== state.items.join(' '))
        this.bad(`batch ${list} has changed`);
      if (delivery.reason !== context.reason) this.bad(`batch ${list} has another reason`);
      const asked = this.#demands.find((demand) => demand.seq > (delivery as Delivery).phaseSeq);
      if (delivery.phase === 'parked') {
        const due = asked === undefined ? delivery.retryAt : Math.min(delivery.retryAt, asked.at);
        const { retryAt } = delivery;
        const off = Math.min(
          Math.abs(now - due),
          ...this.#demands.filter((d) => d.seq > (delivery as Delivery).phaseSeq).map((d) => Math.abs(now - d.at)),
          Math.abs(now - retryAt),
        );
        if (off > (plan.jitter ? 1 : 0) && !this.#crowded())
          this.bad(`batch ${list} is tried again at ${now}, due at ${due}`);
      } else this.#checkHeldTrigger(delivery, list);
    }
    for (const item of items) if (item.fate !== 'accepted') this.bad(`item ${item.id} is flushed, it is ${item.fate}`);
    if (context.attempt !== delivery.attempt + 1)
      this.bad(`attempt ${context.attempt} of batch ${list} after attempt ${delivery.attempt}`);
    if (context.size !== items.length) this.bad(`batch ${list} says that its size is ${context.size}`);
    const weight = items.reduce((sum, item) => sum + item.weight, 0);
    if (context.weight !== weight) this.bad(`batch ${list} weighs ${weight} and says ${context.weight}`);
    Object.assign(delivery, {
      attempt: context.attempt,
      startedAt: now,
      phase: 'running',
      answer: undefined,
      lane: true,
      phaseSeq: ++this.#seq,
    });
    const lanes = [...this.#deliveries.values()].filter((each) => each.lane).length;
    if (lanes > plan.lanes) this.bad(`${lanes} batches at the same time on ${plan.lanes} lanes`);
    return delivery;
  }

  /** Held: until the next trigger, which is a demand, a cut (whoever made it), a tick or the age of others. */
  #checkHeldTrigger(delivery: Delivery, list: string): void {
    const { plan } = this;
    const now = this.clock.now();
    if (this.#crowded() || this.#demands.some((demand) => demand.seq > delivery.phaseSeq)) return;
    const { phaseSeq, startedAt, items } = delivery;
    const heldAt = delivery.retryAt; // when it was held
    const tick = plan.interval < Infinity && Math.floor(now / plan.interval) * plan.interval > heldAt;
    if (tick || (plan.interval < Infinity && plan.jitter)) return;
    // Anything that waits, or came since, may have made a trigger fire.
    const others = this.#joined.filter(
      (item) => !items.includes(item) && (item.batch === undefined ? true : item.batch.phaseSeq > phaseSeq),
    );
    if (others.length === 0)
      this.bad(`batch ${list}, held at ${heldAt}, is tried again although no trigger has fired (since ${startedAt})`);
  }

  /** Was the batch cut at the right place, not too early and not too late? */
  #checkCut(delivery: Delivery, now: number, list: string): void {
    const { plan } = this;
    const { items, reason } = delivery;
    const first = items[0];
    const last = items.at(-1);
    if (first === undefined || last === undefined) {
      this.bad('an empty batch is flushed');
      return;
    }
    items.forEach((item, i) => {
      if (item.joined !== first.joined + i) this.bad(`batch ${list} has a gap or another order`);
      if (item.batch !== undefined) this.bad(`item ${item.id} is in two batches`);
    });
    if (plan.lanes === 1) {
      for (const item of this.#joined.slice(0, first.joined))
        if (item.fate === 'accepted') this.bad(`batch ${list} overtakes item ${item.id}`);
    }
    const weight = items.reduce((sum, item) => sum + item.weight, 0);
    if (items.length > plan.size) this.bad(`batch ${list} is larger than ${plan.size}`);
    if (weight > plan.weight && items.length > 1) this.bad(`batch ${list} is heavier than ${plan.weight}`);
    const ok = ((): boolean => {
      switch (reason) {
        case 'size':
          return items.length === plan.size;
        case 'weight': {
          const next = this.#weighed.some((each) => each.seq > last.joinedSeq && weight + each.weight > plan.weight);
          return weight >= plan.weight || next;
        }
        case 'age':
          return first.from + plan.age <= now;
        case 'sinceFlush': {
          // It holds from then on until the next flush; once due, the batch goes when a lane is free.
          const times = this.#flushTimes;
          if (times.every((at) => at > first.from) && first.from + plan.sinceFlush <= (times[0] ?? now)) return true;
          return times.some(
            (at, i) =>
              Math.max(at + plan.sinceFlush, first.from) <= (times[i + 1] ?? now) && at + plan.sinceFlush <= now,
          );
        }
        case 'interval':
          return Math.floor(now / plan.interval) * plan.interval >= first.from;
        case 'demand':
          return (
            this.#demands.some((demand) => demand.seq > first.seq) || this.#crowded() || plan.overflow === 'dropOldest'
          );
        case 'shouldFlush':
          return this.#wantedSeq > first.joinedSeq;
        case 'close':
          return this.#closing !== undefined;
        default:
          return false;
      }
    })();
    if (!ok) this.bad(`batch ${list} was cut by ${reason}, which had not come`);
    if (items.length === plan.size && reason !== 'size') this.bad(`batch ${list} is full and was cut by ${reason}`);
    const slack = plan.jitter ? 1 : 0;
    const due = first.to + plan.age;
    if (now > Math.max(due, this.#busyEnd) + slack && this.#free())
      this.bad(`batch ${list} was due at ${due} by its age`);
  }

  #after(state: State, context: FlushContext): Awaitable<void> {
    const delivery = this.#deliveries.get(context.id);
    this.note(`batchPostFlush ${context.id} attempt ${context.attempt}`);
    if (delivery?.phase !== 'delivered') {
      this.bad(`batchPostFlush of a batch that is ${delivery?.phase ?? 'unknown'}`);
      return;
    }
    if (state !== delivery.sent) this.bad('batchPostFlush sees another state than batchFlush');
    return this.#chore(delivery, 'batchPostFlush');
  }

  #deadLetter(state: State, error: unknown): Awaitable<void> {
    const delivery = this.#byState.get(state);
    this.note(`batchDeadLetter [${state.items.join(' ')}]`);
    if (delivery?.phase === 'running') {
      this.#dropping(delivery, error);
      this.#handed.push(delivery);
    }
    if (delivery?.phase !== 'dropped') {
      this.bad(`batchDeadLetter of a batch that is ${delivery?.phase ?? 'unknown'}`);
      return;
    }
    if (error !== delivery.lastError) this.bad('batchDeadLetter gets another error');
    return this.#chore(delivery, 'batchDeadLetter');
  }

  #chore(delivery: Delivery, hook: string): Awaitable<void> {
    const now = this.clock.now();
    const chore = (delivery.chore ??= { attempt: 0, running: false, startedAt: now, retryAt: now, seq: this.#seq });
    if (chore.running) this.bad(`${hook} of ${delivery.id} runs twice at the same time`);
    if (chore.attempt > 0) {
      const asked = this.#demands.some((demand) => demand.seq > chore.seq && demand.at === now);
      if (Math.abs(now - chore.retryAt) > (this.plan.jitter ? 1 : 0) && !asked && !this.#crowded())
        this.bad(`${hook} of ${delivery.id} is tried again at ${now}, due at ${chore.retryAt}`);
    }
    chore.attempt++;
    chore.running = true;
    chore.startedAt = now;
    const run = chore.attempt;
    this.#reenter(hook);
    return this.#act<void>(
      this.plan.post,
      this.plan.timeout,
      () => undefined,
      (ok) => {
        if (chore.attempt !== run || !chore.running || !ok) return;
        chore.running = false;
        chore.retryAt = Infinity;
        this.#release(delivery);
      },
    );
  }

  #release(delivery: Delivery): void {
    if (delivery.lane && !this.#free()) this.#busyEnd = this.clock.now();
    delivery.lane = false;
  }

  #free(): boolean {
    let lanes = 0;
    for (const delivery of this.#deliveries.values()) if (delivery.lane) lanes++;
    return lanes < this.plan.lanes;
  }

  /** Calls back into the batcher, from wherever this is. */
  #reenter(from: string): void {
    const { random, plan } = this;
    this.#checkSum(from);
    if (this.#calm || plan.reenter === 0 || this.#depth > 2 || this.#reentries > 12) return;
    if (this.without.has('reenter') || !random.chance(plan.reenter)) return;
    this.#reentries++;
    this.#depth++;
    this.note(`${'  '.repeat(this.#depth)}(from ${from})`);
    const dice = random.int(20);
    const listener = from === 'flushed' || from === 'dropped' || from === 'held';
    if (dice < 8) this.#add();
    else if (dice < 10) for (let n = random.int(6); n > 0; n--) this.#add();
    else if (dice < 19) {
      if (listener && this.without.has('flushInListener')) this.#add();
      else this.#flush();
    } else if (!this.without.has('closeInHook')) this.#startClose();
    this.#depth--;
  }

  // What the batcher says

  #listen(): void {
    const { batcher, plan } = this;
    const told = (name: string): void => {
      this.#reenter(name);
      if (plan.listenersThrow && this.random.chance(0.2)) throw new Oops(`the listener of ${name}`);
    };
    batcher.on('flushed', (info) => {
      this.note(`flushed ${info.id}`);
      const delivery = this.#deliveries.get(info.id);
      if (delivery?.phase !== 'running' || delivery.answer?.ok !== true) {
        this.bad(
          `flushed is told of batch ${info.id}, which is ${delivery?.phase ?? 'unknown'}, its attempt ${JSON.stringify(delivery?.answer)}`,
        );
        return;
      }
      if (info.size !== delivery.items.length || info.attempt !== delivery.attempt || info.reason !== delivery.reason)
        this.bad('flushed says something wrong');
      if (info.duration !== this.clock.now() - delivery.startedAt) this.bad('flushed tells a wrong duration');
      delivery.phase = 'delivered';
      delivery.phaseSeq = ++this.#seq;
      this.#counts.flushes++;
      this.#counts.delivered += delivery.items.length;
      for (const item of delivery.items) this.#finish(item, 'delivered');
      this.#flushTimes.push(this.clock.now());
      if (plan.postFlush)
        delivery.chore = { attempt: 0, running: false, startedAt: 0, retryAt: this.clock.now(), seq: this.#seq };
      else this.#release(delivery);
      told('flushed');
    });
    batcher.on('failed', (info) => {
      this.note(`failed ${info.id} (${info.hook}), again at ${String(info.retryAt)}`);
      const delivery = this.#deliveries.get(info.id);
      const now = this.clock.now();
      if (delivery === undefined) this.bad('failed is told of an unknown batch');
      else if (info.hook === 'batchFlush') {
        this.#failedAttempt(delivery, info.error, 'failed');
        const wait = Math.min(plan.maxDelay, plan.minDelay * plan.factor ** (delivery.attempt - 1));
        const delay = info.retryAt - now;
        if (plan.jitter ? delay < Math.max(1, wait / 2) || delay > Math.max(1, wait) : delay !== Math.max(1, wait))
          this.bad(`the next attempt is in ${delay} ms, expected ${wait}`);
        if (delivery.attempt >= plan.attempts) this.bad('an attempt too many');
        Object.assign(delivery, { phase: 'parked', retryAt: info.retryAt, phaseSeq: ++this.#seq });
      } else {
        const chore = delivery.chore;
        if (chore?.running !== true && !this.#abandoned()) this.bad(`${info.hook} failed, and does not run`);
        if (chore !== undefined) Object.assign(chore, { running: false, retryAt: info.retryAt, seq: ++this.#seq });
        this.#release(delivery);
      }
      told('failed');
    });
    batcher.on('held', (info) => {
      this.note(`held ${info.id}`);
      const delivery = this.#deliveries.get(info.id);
      this.#givenUpSeq = ++this.#seq;
      if (delivery === undefined) this.bad('held is told of an unknown batch');
      else {
        this.#failedAttempt(delivery, info.error, 'held');
        if (plan.giveUp !== 'hold' || delivery.attempt < plan.attempts) this.bad('held too early');
        Object.assign(delivery, { phase: 'held', retryAt: this.clock.now(), phaseSeq: ++this.#seq });
      }
      told('held');
    });
    batcher.on('dropped', (info) => {
      this.note(`dropped ${info.size} (${info.reason})`);
      this.#counts.dropped += info.size;
      if (info.reason === 'overflow') this.#droppedForRoom(info.size);
      else if (!plan.deadLetter) this.#dropping(this.#failedOf(info.size, info.error), info.error);
      else {
        const handed = this.#handed.shift();
        if (handed === undefined) this.bad('dropped is told of a batch that was not handed over');
        else if (handed.items.length !== info.size || handed.lastError !== info.error)
          this.bad('dropped says something wrong');
      }
      told('dropped');
    });
    batcher.on('refused', ({ item: id, error }) => {
      this.#counts.refused++;
      const item = this.items[id];
      if (item === undefined) {
        this.bad(`an unknown item ${String(id)} is refused`);
        return;
      }
      this.note(`refused ${id}: ${error.name} ${error.message}`);
      this.#refused(item, error);
      told('refused');
    });
    batcher.on('drained', () => {
      this.#drained++;
      this.note('drained');
      this.#leaveFailed();
      if (this.#pending() > 0 && !this.#abandoned())
        this.bad(`drained is told while ${this.#pending()} items are pending`);
      told('drained');
    });
    batcher.on('closed', (info) => {
      this.#closedEvents.push(info);
      told('closed');
    });
  }

  /** An attempt has failed, says the batcher: did it? */
  #failedAttempt(delivery: Delivery, error: unknown, what: string): void {
    if (delivery.phase !== 'running') this.bad(`${what} is told of a batch that is ${delivery.phase}`);
    delivery.lastError = error;
    if (delivery.answer !== undefined) {
      if (delivery.answer.ok || delivery.answer.error !== error)
        this.bad(`${what} tells a wrong error: ${String(error)}`);
      return;
    }
    const late = this.clock.now() - delivery.startedAt - this.plan.timeout;
    if (!(error instanceof TimeoutError) || !(late >= 0 && late <= (this.plan.jitter ? 1 : 0)))
      this.bad(`${what} tells ${String(error)} ${late} ms after the attempt expired`);
  }

  /** The batch of that size whose last attempt failed for that reason. */
  #failedOf(size: number, error: unknown): Delivery | undefined {
    return [...this.#deliveries.values()].find(
      (each) =>
        each.phase === 'running' &&
        each.items.length === size &&
        (each.answer === undefined
          ? error instanceof TimeoutError && this.clock.now() - each.startedAt >= this.plan.timeout
          : each.answer.error === error),
    );
  }

  #dropping(delivery: Delivery | undefined, error: unknown): void {
    this.#givenUpSeq = ++this.#seq;
    if (delivery === undefined) {
      this.bad(`a batch is dropped that has not failed: ${String(error)}`);
      return;
    }
    this.#failedAttempt(delivery, error, 'dropped');
    if (this.plan.giveUp !== 'drop' || delivery.attempt < this.plan.attempts) this.bad('dropped too early');
    delivery.phase = 'dropped';
    delivery.phaseSeq = ++this.#seq;
    if (this.#closing !== undefined) this.#droppedLate.push(...delivery.items);
    for (const item of delivery.items) this.#finish(item, 'dropped');
    if (!this.plan.deadLetter) this.#release(delivery);
  }

  #droppedForRoom(size: number): void {
    this.#overflowSeq = ++this.#seq;
    if (this.plan.overflow === 'dropNewest') {
      const newest = this.items.findLast((item) => item.fate === 'called');
      if (size !== 1 || newest === undefined) this.bad('dropNewest dropped something else than the newest');
      else newest.fate = 'dropped';
      if (this.#claimed(newest) < this.plan.maxPending) this.bad('dropNewest although there is room');
      return;
    }
    if (this.plan.overflow !== 'dropOldest') this.bad(`dropped for room with overflow ${this.plan.overflow}`);
    if (this.#pending() < this.plan.maxPending) this.bad('dropOldest although there is room');
    const candidates = this.#joined.filter((item) => item.fate === 'accepted' && item.batch?.phase !== 'running');
    if (candidates.length < size) this.bad(`dropped ${size} for room, and only ${candidates.length} are not in flight`);
    for (const item of candidates.slice(0, size)) {
      this.#finish(item, 'dropped');
      const { batch } = item;
      if (batch === undefined || batch.phase === 'dropped') continue;
      batch.phase = 'dropped';
      this.#release(batch);
    }
  }

  #refused(item: Item, error: Error): void {
    if (error instanceof ItemError) {
      const { cause } = error;
      const way = this.#onTheWay;
      if (cause instanceof TimeoutError) {
        const late = way === undefined ? NaN : this.clock.now() - way.since - this.plan.timeout;
        if (!(late >= 0 && late <= (this.plan.jitter ? 1 : 0)))
          this.bad(`item ${item.id} is refused for its slowness ${late} ms late`);
        this.#arrived();
      } else if (!this.#hookErrors.has(cause)) this.bad(`item ${item.id} is refused for ${String(cause)}`);
      if (item.fate === 'called' || item.fate === 'waiting') this.#seen(item);
      this.#finish(item, 'refused');
    } else if (error instanceof OverflowError) {
      const unclear = this.#waiting.length > 0 && !item.direct; // whether one of those has been let in already
      if (this.#claimed(item) < this.plan.maxPending && !unclear) {
        this.bad(`item ${item.id} is refused although there is room`);
      }
      if (item.fate !== 'called') this.bad(`item ${item.id} overflows, it is ${item.fate}`);
      item.fate = 'refused';
    } else if (error instanceof ClosedError && this.#closing !== undefined) {
      if (item.fate === 'accepted') {
        this.#refusedAll++;
        this.#onTheWay = undefined;
        if (!this.#abandoned()) this.bad(`item ${item.id} is refused by a close that delivers`);
      } else if (item.fate === 'waiting') this.#waiting.splice(this.#waiting.indexOf(item), 1);
      else if (item.fate !== 'called') this.bad(`item ${item.id} is refused, it is ${item.fate}`);
      item.fate = 'refused';
    } else this.bad(`item ${item.id} is refused with ${String(error)}`);
  }

  #finish(item: Item, fate: 'delivered' | 'refused' | 'dropped'): void {
    if (item.fate !== 'accepted') this.bad(`item ${item.id} is ${fate}, it was ${item.fate}`);
    item.fate = fate;
    item.finishedSeq = ++this.#seq;
  }

  // The comparison

  #item(id: number): Item {
    const item = this.items[id];
    if (item === undefined) throw new Error(`no item ${String(id)}`);
    return item;
  }

  #pending(): number {
    let n = 0;
    for (const { fate } of this.items) if (fate === 'accepted') n++;
    return n;
  }

  /** Those that are pending, and those whose call, made before that of `item`, has not returned: they may be. */
  #claimed(item: Item | undefined): number {
    const before = item?.id ?? this.items.length;
    return this.#pending() + this.items.filter(({ id, fate }) => fate === 'called' && id < before).length;
  }

  /** Holds at every moment, whoever looks. */
  #checkSum(where: string): void {
    const { counts, pending } = this.batcher.state;
    if (counts.totalItems !== counts.delivered + counts.refused + counts.dropped + pending) {
      this.bad(
        `${where}: ${counts.totalItems} added ≠ ${counts.delivered} + ${counts.refused} + ${counts.dropped} + ${pending}`,
      );
    }
  }

  #check(): void {
    if (this.violations.length > 0) return;
    const { plan } = this;
    const now = this.clock.now();
    const { state } = this.batcher;
    const { counts } = state;
    this.#admit();
    this.#checkSum('after a step');
    for (const delivery of this.#deliveries.values()) this.#checkAnswered(delivery, now);
    const pending = this.#pending();
    const left = this.items.filter((item) => item.fate === 'left').length;
    if (state.pending !== pending + left) this.bad(`pending is ${state.pending}, really ${pending + left}`);
    if (pending > plan.maxPending) this.bad(`${pending} are pending, more than ${plan.maxPending}`);
    const really = {
      ...this.#counts,
      totalItems: this.items.filter(({ fate }) => !['called', 'waiting', 'away'].includes(fate)).length,
    };
    for (const name of ['delivered', 'refused', 'dropped', 'flushes', 'totalItems'] as const) {
      if (counts[name] !== really[name]) this.bad(`counts.${name} is ${counts[name]}, really ${really[name]}`);
    }
    if (counts.batchItems > plan.size) this.bad(`the open batch has ${counts.batchItems} items`);
    if (state.times.lastFlush !== this.#flushTimes.at(-1)) this.bad('times.lastFlush is wrong');
    if (state.lastItem !== this.#lastJoined)
      this.bad(`lastItem is ${String(state.lastItem)}, really ${String(this.#lastJoined)}`);
    this.#checkTimers(pending);
    if (!this.#abandoned()) this.#checkDue(now);
    for (const ask of this.#asks) {
      if (
        ask.outcome === 'pending' &&
        now > ask.at + ask.timeout &&
        ask.timeout < Infinity &&
        this.#closing === undefined
      )
        this.bad('a flush() with a timeout waits longer');
    }
    if (pending === 0 && this.#closing === undefined && this.#asks.some((ask) => ask.outcome === 'pending')) {
      if (![...this.#deliveries.values()].some((each) => each.lane))
        this.bad('a flush() waits although nothing is pending');
    }
  }

  #checkAnswered(delivery: Delivery, now: number): void {
    if (delivery.phase !== 'running') {
      const { chore } = delivery;
      if (chore?.running === true && now > chore.startedAt + this.plan.timeout + 1 && !this.#abandoned())
        this.bad(`the work after ${delivery.id} runs on after its time`);
      return;
    }
    if (delivery.answer !== undefined) {
      if (this.#closing === undefined) this.bad(`the answer of batch ${delivery.id} was not heard`);
      else if (delivery.answer.ok && !this.#abandoned()) this.bad(`the success of batch ${delivery.id} was not heard`);
      else this.#leave(delivery);
    } else if (now > delivery.startedAt + this.plan.timeout + (this.plan.jitter ? 1 : 0)) {
      if (this.#closing === undefined) this.bad(`batch ${delivery.id} runs on after its time`);
      else this.#leave(delivery);
    } else if (this.#closing !== undefined && now >= this.#closing.at + this.#closing.timeout) this.#leave(delivery);
  }

  /** What fails for good while it closes is left, and nobody is told before the end. */
  #leaveFailed(): void {
    const closing = this.#closing;
    if (closing === undefined) return;
    for (const delivery of this.#deliveries.values()) {
      if (delivery.phase !== 'running' || delivery.answer?.ok === true) continue;
      if (delivery.answer === undefined && this.clock.now() < delivery.startedAt + this.plan.timeout) continue;
      if (!closing.flush || (delivery.attempt >= this.plan.attempts && this.plan.giveUp === 'hold'))
        this.#leave(delivery);
    }
  }

  #leave(delivery: Delivery): void {
    delivery.phase = 'left';
    this.#release(delivery);
    for (const item of delivery.items) item.fate = 'left';
  }

  #checkTimers(pending: number): void {
    if (this.#timers > (this.#closing === undefined ? 1 : 2)) this.bad(`${this.#timers} timers are armed`);
    if (pending > 0 || this.#closing !== undefined || this.#timers === 0) return;
    if (
      [...this.#deliveries.values()].some(
        (each) => each.lane || each.chore?.running === true || (each.chore?.retryAt ?? Infinity) < Infinity,
      )
    )
      return;
    this.bad('a timer is armed although nothing is pending');
  }

  /** Nothing that is due lies about while a lane is free. */
  #checkDue(now: number): void {
    const { plan } = this;
    const slack = plan.jitter ? 1.001 : 0;
    const asked = this.#demands.at(-1)?.seq ?? -1;
    for (const delivery of this.#deliveries.values()) {
      if (delivery.phase === 'parked' && (delivery.retryAt + slack < now || delivery.phaseSeq < asked))
        this.bad(`batch ${delivery.id} is not tried again, due at ${delivery.retryAt}`);
      if (delivery.phase === 'held' && delivery.phaseSeq < asked)
        this.bad(`batch ${delivery.id} is held on after a demand`);
      const { chore } = delivery;
      if (
        chore !== undefined &&
        !chore.running &&
        chore.retryAt < Infinity &&
        (chore.retryAt + slack < now || chore.seq < asked) &&
        chore.attempt > 0
      )
        this.bad(`the work after ${delivery.id} is not tried again`);
    }
    if (this.#onTheWay !== undefined) {
      if (now > this.#onTheWay.since + plan.timeout + slack) this.bad('an add hook runs on after its time');
      return;
    }
    if (!this.#free()) return;
    const loose = this.items.filter((item) => item.fate === 'accepted' && item.batch === undefined);
    const unjoined = loose.find((item) => item.joined < 0);
    if (unjoined !== undefined) this.bad(`item ${unjoined.id} does not join although nobody is on the way`);
    const first = loose.sort((a, b) => a.joined - b.joined)[0];
    if (first === undefined) return;
    const weight = loose.reduce((sum, item) => sum + item.weight, 0);
    const last = this.#flushTimes.at(-1) ?? first.to;
    const due = [
      loose.length >= plan.size && 'full',
      weight >= plan.weight && 'heavy',
      first.to + plan.age + slack <= now && 'old',
      Math.max(last, 0) + plan.sinceFlush + slack <= now && first.to + slack < now && 'long after the last flush',
      !plan.jitter && Math.floor(now / plan.interval) * plan.interval > first.joinedAt && 'on the interval',
      first.acceptedSeq < asked && 'demanded',
    ].filter((each) => each !== false);
    if (due.length > 0) this.bad(`item ${first.id} waits though it is ${due.join(', ')}, and a lane is free`);
  }

  #checkClosed(closing: Closing): void {
    for (const delivery of this.#deliveries.values())
      if (['running', 'parked', 'held'].includes(delivery.phase)) this.#leave(delivery);
    for (const item of this.items) {
      if (item.fate === 'accepted') item.fate = 'left';
      if (item.fate === 'waiting') this.bad(`item ${item.id} waits for room after close`);
      if (item.outcome === 'pending') this.bad(`${item.verb}(${item.id}) never settles; it is ${item.fate}`);
      if (item.outcome === 'rejected' && item.fate === 'delivered' && item.signal?.aborted !== true)
        this.bad(`${item.verb}(${item.id}) rejected, it was delivered`);
      if (item.heard !== undefined) {
        const failed = item.fate !== 'delivered';
        if (item.heard.length !== (failed ? 1 : 0))
          this.bad(`onError of item ${item.id}, ${item.fate}, was called ${item.heard.length} times`);
      }
    }
    if (this.#asks.some((ask) => ask.outcome === 'pending')) this.bad('a flush() never settles');
    if (closing.outcome === 'pending') {
      this.bad('close() never settles');
      return;
    }
    if (closing.settledAt > closing.at + closing.timeout + 1001)
      this.bad(`close() took ${closing.settledAt - closing.at} ms`);
    if (this.#timers > 0) this.bad(`${this.#timers} timers after close`);
    const left = this.items.filter((item) => item.fate === 'left');
    const undelivered = left.length + this.#refusedAll + this.#droppedLate.length;
    const fails = closing.flush && undelivered > 0;
    if ((closing.outcome === 'rejected') !== fails)
      this.bad(`close() ${closing.outcome}: ${String(closing.error)}, undelivered ${undelivered}`);
    const given = this.#terminated.flatMap((state) => state?.items ?? []).sort((a, b) => a - b);
    const terminal = [...left, ...this.#droppedLate].map((item) => item.id).sort((a, b) => a - b);
    if (given.join(' ') !== terminal.join(' '))
      this.bad(`batchTerminate got [${given.join(' ')}], left were [${terminal.join(' ')}]`);
    if (terminal.length === 0 && (this.#terminated.length !== 1 || this.#terminated[0] !== undefined))
      this.bad('batchTerminate is called once, with undefined');
    if (closing.outcome === 'rejected') {
      const { error } = closing;
      if (!(error instanceof CloseError)) this.bad(`close() rejected with ${String(error)}`);
      else if (
        error.undelivered !== undelivered ||
        error.batches.length !== this.#terminated.filter((state) => state !== undefined).length
      ) {
        this.bad(`CloseError says ${error.undelivered} in ${error.batches.length} batches, really ${undelivered}`);
      }
    }
    if (this.#closedEvents.length !== 1 || this.#closedEvents[0]?.undelivered !== undelivered)
      this.bad(`closed is told as ${JSON.stringify(this.#closedEvents)}, really ${undelivered}`);
  }
}
