import {
  PartialFlushError,
  TooLargeError,
  type Awaitable,
  type BatchPleaseEvents,
  type BatchPleaseOptions,
  type FlushContext,
} from 'batch-please';
import { Oops } from '../collector/manners.js';
import { isRunning, type Batch, type State } from './records.js';
import type { World } from './world.js';

interface Asked {
  error: unknown;
  /** Milliseconds, as they count; `undefined` if it is of no use. */
  wait: number | undefined;
  set: boolean;
}

/** The hooks of one run: the sink takes all, some or none of a batch, now or later, or never. */
export class Hooks {
  readonly #world: World;
  /** What `retry.delay` has answered since an attempt failed. */
  readonly #asked: Asked[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  options(): BatchPleaseOptions<number, State> {
    const { plan } = this.#world;
    return {
      batchInit: () => ({ items: [] }),
      batchAddItem: (state, id) => this.#add(state, id),
      batchFlush: (state, context) => this.#flush(state, context),
      batchSplit: (state, indexes) => this.#split(state, indexes),
      ...(plan.deadLetter && { batchDeadLetter: (state: State) => this.#after('batchDeadLetter', state) }),
      ...(plan.postFlush && { batchPostFlush: (state: State) => this.#after('batchPostFlush', state) }),
    };
  }

  #add(state: State, id: number): Awaitable<void> {
    const { random, calm, clock, limits, configured } = this.#world;
    const item = this.#world.item(id);
    if (item.fate !== 'called' && item.fate !== 'waiting' && item.fate !== 'pending')
      this.#world.bad(`batchAddItem sees item ${id}, which is ${item.fate}`);
    item.fate = 'pending';
    if (state.items.length >= limits.size && !configured) this.#world.bad(`item ${id} joins a full batch`);
    this.#world.enter('batchAddItem');
    const join = (): void => {
      if (item.fate !== 'pending') return;
      item.joinedAt = clock.now();
      state.items.push(id);
    };
    if (!calm && random.chance(0.02)) throw new Oops('batchAddItem');
    if (!random.chance(0.1)) {
      join();
      return;
    }
    return random.chance(0.5) ? Promise.resolve().then(join) : this.#later(3, join);
  }

  #later<T>(ms: number, value: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#world.clock.setTimer(() => {
        try {
          resolve(value());
        } catch (error) {
          reject(error);
        }
      }, ms);
    });
  }

  #after(hook: string, { items }: State): Awaitable<void> {
    const { random, calm } = this.#world;
    this.#world.note(`${hook} [${items.join(' ')}]`);
    this.#world.enter(hook);
    if (!calm && random.chance(0.2)) throw new Oops(hook);
    const done = (): void => {
      const { closing, now, buried } = this.#world;
      if (closing !== undefined && now >= closing.at + closing.timeout) return;
      if (hook === 'batchDeadLetter') for (const id of items) buried.add(id);
    };
    if (random.chance(0.3)) return this.#later(5, done);
    done();
  }

  #split(state: State, indexes: readonly number[]): State {
    const { random, plan, calm } = this.#world;
    this.#world.note(`batchSplit [${state.items.join(' ')}] at ${indexes.join(' ')}`);
    if (indexes.length === 0 || indexes.some((index) => !(index in state.items)))
      this.#world.bad(`batchSplit of ${state.items.length} items at ${indexes.join(' ')}`);
    if (!calm && random.chance(plan.splitThrows)) throw new Oops('batchSplit');
    const taken = indexes.map((index) => state.items[index] ?? -1);
    state.items = state.items.filter((_, index) => !indexes.includes(index));
    return { items: taken };
  }

  /** `retry.delay`: a number, `false`, nothing, nonsense, or a throw. */
  readonly delay = ({ error, delay }: { error: unknown; delay: number }): unknown => {
    const { random } = this.#world;
    const answer = random.pick<unknown>([undefined, undefined, 3, 50, 0, false, 'soon', NaN, 'throw']);
    const set = typeof answer === 'number' && answer >= 0;
    // Delays count as at least 1 ms before they are compared: 0 and 1 are equal, and of equal ones the first counts.
    const wait = answer === false ? undefined : Math.max(set ? answer : delay, 1);
    this.#asked.push({ error, wait, set });
    if (answer === 'throw') throw new Oops('delay');
    return answer;
  };

  // Attempts

  #flush(state: State, context: FlushContext): Awaitable<string> {
    const world = this.#world;
    const batch = this.#attempt(state, context);
    world.note(`batchFlush ${batch.id} attempt ${context.attempt} (${context.reason}) [${state.items.join(' ')}]`);
    const run = context.attempt;
    world.enter('batchFlush');
    const answer = (): string => {
      const inTime = batch.running && batch.attempt === run && !context.signal.aborted;
      if (!inTime) return 'late';
      const verdict = this.#verdict(batch.items);
      batch.delivered = verdict.delivered;
      if (verdict.error === undefined) return 'ok';
      world.note(`-- ${batch.id} fails: ${verdict.error.name} ${verdict.delivered.join(' ')} delivered`);
      if (verdict.delivered.length === 0) batch.delivered = undefined;
      batch.running = false;
      batch.errors = [verdict.error];
      if (verdict.error instanceof PartialFlushError) batch.errors.push(...verdict.error.errors.flat());
      throw verdict.error;
    };
    const { random, plan, calm } = world;
    if (calm || !random.chance(plan.slow)) return random.chance(0.5) ? answer() : Promise.resolve().then(answer);
    if (batch.expiresAt < Infinity && random.chance(0.1)) return new Promise(() => undefined);
    return this.#later(1 + random.int(15), answer);
  }

  #verdict(items: readonly number[]): { delivered: number[]; error: Error | undefined } {
    const { random, plan, calm } = this.#world;
    const all = { delivered: [...items], error: undefined };
    if (calm) return all;
    if (items.some((id) => this.#world.item(id).poison)) return { delivered: [], error: new Oops('poison') };
    if (random.chance(plan.tooLarge) && items.length > random.int(4))
      return { delivered: [], error: new TooLargeError() };
    if (random.chance(plan.partly)) {
      const named = items.map(() => (random.chance(0.4) ? new Oops('item') : undefined));
      if (random.chance(0.05)) return { delivered: [], error: new PartialFlushError([[items.length, 'none there']]) };
      if (named.every((error) => error === undefined)) return all;
      const pairs = named.flatMap((error, index) => (error === undefined ? [] : [[index, error] as const]));
      const delivered = items.filter((_, index) => named[index] === undefined);
      return { delivered, error: new PartialFlushError(random.chance(0.5) ? named : pairs) };
    }
    return random.chance(plan.fails) ? { delivered: [], error: new Oops('all') } : all;
  }

  #attempt(state: State, context: FlushContext): Batch {
    const world = this.#world;
    const { now } = world;
    const list = `${context.id} [${state.items.join(' ')}]`;
    const known = world.batches.get(context.id);
    const batch = known ?? this.#first(state, context);
    if (isRunning(batch, now)) world.bad(`batch ${list} is tried while it runs`);
    if (batch.ended) world.bad(`batch ${list} is tried after its end`);
    if (world.paused) world.bad(`batch ${list} is tried while paused`);
    if (known !== undefined && batch.items.length > 0 && batch.items.join(' ') !== state.items.join(' '))
      world.bad(`batch ${list} was [${batch.items.join(' ')}]`);
    for (const id of state.items) {
      if (world.item(id).fate !== 'pending') world.bad(`A12: item ${id} is flushed, it is ${world.item(id).fate}`);
      for (const other of world.batches.values())
        if (other !== batch && isRunning(other, now) && other.items.includes(id))
          world.bad(`item ${id} is in two attempts`);
      world.item(id).batch = batch.id;
    }
    if (context.size !== state.items.length) world.bad(`the context of batch ${list} says size ${context.size}`);
    const early = batch.retryAt > now && batch.failedAt >= 0 && !batch.held;
    // `close` repeats attempts early as well; one that an earlier `flush()` asked for, in a pause, stays an extra one.
    const asked = world.hurries > batch.hurriesBefore && !batch.hurried && !batch.delaySet;
    batch.extra = early && (world.closing === undefined || asked);
    if (batch.extra) {
      if (world.hurriedAt < batch.failedAt) world.bad(`A11: batch ${list} is tried at ${now}, due at ${batch.retryAt}`);
      else if (batch.hurried) world.bad(`A11: batch ${list} is hurried twice in one wait`);
      else if (batch.delaySet) world.bad(`A11: the delay of batch ${list} was set, and is cut short`);
    }
    Object.assign(batch, { items: [...state.items], running: true, delivered: undefined, held: false });
    batch.errors = [];
    batch.expiresAt = now + world.limits.timeout;
    batch.attempt = context.attempt;
    const running = [...world.batches.values()].filter((each) => isRunning(each, now)).length;
    if (running > world.limits.lanes && !world.configured)
      world.bad(`${running} attempts on ${world.limits.lanes} lanes`);
    return batch;
  }

  /** A batch, or a part of one, that the sink has not seen before. */
  #first(state: State, { id }: FlushContext): Batch {
    const world = this.#world;
    const parent = world.batches.get(id.slice(0, Math.max(id.lastIndexOf('/'), 0)));
    if (parent === undefined) {
      if (id.includes('/')) world.bad(`${id} is a part of an unknown batch`);
      for (const item of state.items)
        if (world.item(item).batch !== undefined) world.bad(`item ${item} is in two batches`);
      if (state.items.length > world.limits.size && !world.configured) world.bad(`batch ${id} is too large`);
    } else {
      for (const item of state.items)
        if (world.item(item).batch !== parent.id) world.bad(`item ${item} was not in ${parent.id}`);
      parent.items = parent.items.filter((item) => !state.items.includes(item));
      if (parent.items.length === 0) world.end(parent);
    }
    if (state.items.length === 0) world.bad(`batch ${id} is empty`);
    return this.#record(id, parent?.firstStartedAt ?? world.now);
  }

  #record(id: string, firstStartedAt: number): Batch {
    const batch: Batch = {
      ...{
        id,
        items: [],
        attempt: 0,
        firstStartedAt,
        running: false,
        expiresAt: Infinity,
        delivered: undefined,
        failedAt: -1,
        hurriesBefore: 0,
        retryAt: -1,
      },
      ...{ delaySet: false, hurried: false, extra: false, held: false, ended: false, errors: [] },
    };
    this.#world.batches.set(id, batch);
    return batch;
  }

  /** The `failed` event: it will be tried again, at the time that `retry` says. */
  failed({ id, size, retryAt, error: cause }: BatchPleaseEvents<number, State>['failed']): void {
    const world = this.#world;
    const { now, limits } = world;
    world.note(`failed ${id} (${size}), again at ${retryAt}`);
    const parent = world.batches.get(id.slice(0, Math.max(id.lastIndexOf('/'), 0)));
    const batch = world.batches.get(id) ?? this.#record(id, parent?.firstStartedAt ?? now);
    const { extra, retryAt: due } = batch;
    const { errors } = batch.attempt === 0 ? (parent ?? batch) : batch;
    const elapsed = now - batch.firstStartedAt;
    // Of items that are given up the delay does not count; a batchSplit that fails is a failure of its own.
    const asked = this.#asked.filter(({ wait, error }) => {
      const own = errors.includes(cause) ? errors.includes(error) : error === cause;
      return own && wait !== undefined && elapsed + wait <= limits.maxElapsed;
    });
    const longest = asked.reduce<Asked | undefined>(
      (most, each) => (most === undefined || (each.wait ?? 0) > (most.wait ?? 0) ? each : most),
      undefined,
    );
    Object.assign(batch, { running: false, failedAt: now, hurriesBefore: world.hurries, retryAt, held: false });
    batch.delaySet = asked.some(({ set }) => set);
    batch.hurried = extra && !batch.delaySet;
    if (retryAt === Infinity) {
      batch.held = true; // set aside
      return;
    }
    if (batch.hurried) {
      if (retryAt !== Math.max(due, now)) world.bad(`A11: a hurried attempt has moved the next one of ${id}`);
    } else if (longest !== undefined && !world.configured && retryAt !== now + (longest.wait ?? 1))
      world.bad(`batch ${id} is tried again at ${retryAt}, retry.delay said ${String(longest.wait)}`);
    if (!batch.hurried && retryAt - batch.firstStartedAt > Math.max(limits.maxElapsed, 1) && !world.configured)
      world.bad(`batch ${id} is tried again after maxElapsed`);
  }
}
