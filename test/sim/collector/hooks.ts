import type { Awaitable, BatchPleaseOptions, FlushContext } from 'batch-please';
import { startAttempt } from './attempts.js';
import { swap } from './line.js';
import { act, Oops } from './manners.js';
import type { Manners } from './plan.js';
import type { Delivery, Item, State } from './records.js';
import type { World } from './world.js';

/** The hooks of one run: they behave as the plan says, and report to the model what they see. */
export class Hooks {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  options(): BatchPleaseOptions<number, State> {
    const { plan } = this.#world;
    const options: BatchPleaseOptions<number, State> = {
      batchInit: () => this.#init(),
      batchAddItem: (state, id) => this.#join(state, id),
      batchFlush: (state, context) => this.#flush(state, context),
      batchTerminate: (state) => this.#terminate(state),
    };
    if (plan.weight < Infinity) {
      options.maxBatchWeight = plan.weight;
      options.weigh = (id) => this.#weigh(id);
    }
    if (plan.shouldFlush !== 'none') options.shouldFlush = () => this.#shouldFlush();
    if (plan.preFlush !== 'none') options.batchPreFlush = (state, context) => this.#preFlush(state, context);
    if (plan.postFlush) options.batchPostFlush = (state, context) => this.#postFlush(state, context);
    if (plan.deadLetter) options.batchDeadLetter = (state, error) => this.#deadLetter(state, error);
    return options;
  }

  #act<T>(
    manners: Manners,
    value: () => T,
    answer: (ok: boolean, error: unknown) => void,
    { patience = this.#world.plan.timeout, spent = 0 } = {},
  ): Awaitable<T> {
    const { random, clock, calm, model } = this.#world;
    return act(random, clock, calm, {
      ...{ manners, patience, spent, value, answer },
      error: (manner) => {
        const error = new Oops(manner);
        model.hookErrors.add(error);
        return error;
      },
      hangs: () => (model.stuck = true),
    });
  }

  // Adding

  #init(): Awaitable<State> {
    const { model, plan } = this.#world;
    model.note('batchInit');
    this.#world.enter('batchInit');
    return this.#entering(plan.init, () => ({ items: [], prepared: false }));
  }

  /** An init or an add hook: while it has not answered, no batch can be cut. */
  #entering<T>(manners: Manners, value: () => T): Awaitable<T> {
    const { model } = this.#world;
    const way = { since: model.now };
    const answers: boolean[] = [];
    const result = this.#act(manners, value, (ok) => {
      answers.push(ok);
      if (model.onTheWay === way) model.arrived();
    });
    if (answers.length === 0) model.onTheWay = way;
    return result;
  }

  #seen(id: number): Item {
    const { model } = this.#world;
    const item = model.item(id);
    this.#world.sync();
    swap(model, item);
    if (item.fate !== 'accepted') model.bad(`a hook sees item ${id}, which is ${item.fate}`);
    return item;
  }

  #weigh(id: number): number {
    const { model, random, plan, calm } = this.#world;
    const item = this.#seen(id);
    if (!calm && random.chance(plan.weighThrows)) {
      const error = new Oops('weigh');
      model.hookErrors.add(error);
      throw error;
    }
    model.weighed.push({ seq: model.next(), weight: item.weight });
    return item.weight;
  }

  #join(state: State, id: number): Awaitable<State | void> {
    const { model, plan } = this.#world;
    model.note(`batchAddItem ${id} to [${state.items.join(' ')}]`);
    const item = this.#seen(id);
    if (item.joined >= 0) model.bad(`item ${id} is added twice`);
    if (model.onTheWay !== undefined) model.bad(`item ${id} is added while another is on its way`);
    if (state.items.length >= plan.size) model.bad(`item ${id} is added to a full batch`);
    this.#world.enter('batchAddItem');
    return this.#entering<State | void>(plan.add, () => {
      if (item.fate !== 'accepted') return undefined; // refused meanwhile, by a close
      model.join(item);
      if (plan.pure) return { items: [...state.items, id], prepared: false };
      state.items.push(id);
      return undefined;
    });
  }

  #shouldFlush(): boolean {
    const { model, plan, random, calm, without, batcher } = this.#world;
    if (!without.has('reenterShouldFlush')) this.#world.enter('shouldFlush');
    if (!calm && random.chance(0.02)) throw new Oops('shouldFlush');
    const wanted = plan.shouldFlush === 'count' ? batcher.state.counts.batchItems >= 3 : random.chance(0.15);
    if (wanted) model.wantedSeq = model.next();
    return wanted;
  }

  // Delivering

  #preFlush(state: State, context: FlushContext): Awaitable<State | void> {
    const { model, plan } = this.#world;
    const delivery = startAttempt(this.#world, state, context);
    model.note(`batchPreFlush ${delivery.id} attempt ${context.attempt}`);
    this.#world.enter('batchPreFlush');
    const { attempt } = delivery;
    return this.#act<State | void>(
      plan.pre,
      () => (plan.preFlush === 'replace' ? { items: [...state.items], prepared: true } : undefined),
      (ok, error) => {
        if (!ok) this.#answer(delivery, attempt, false, error);
      },
    );
  }

  #flush(state: State, context: FlushContext): Awaitable<void> {
    const { model, plan } = this.#world;
    const delivery =
      plan.preFlush === 'none' ? startAttempt(this.#world, state, context) : this.#prepared(state, context);
    model.note(`batchFlush ${delivery.id} attempt ${context.attempt} (${context.reason}) [${state.items.join(' ')}]`);
    if (context.signal.aborted) model.bad('the signal of a new attempt is aborted');
    delivery.sent = state;
    const { attempt } = delivery;
    this.#world.enter('batchFlush');
    return this.#act<void>(
      plan.flush,
      () => undefined,
      (ok, error) => {
        this.#answer(delivery, attempt, ok, error);
      },
      { spent: model.now - delivery.startedAt },
    );
  }

  #prepared(state: State, context: FlushContext): Delivery {
    const { model, plan } = this.#world;
    const delivery = model.deliveries.get(context.id);
    if (delivery === undefined) throw new Error('a batch that preFlush has not seen');
    if (delivery.phase !== 'running' || delivery.attempt !== context.attempt || delivery.answer !== undefined)
      model.bad(`batchFlush of ${delivery.id} after its attempt ended`);
    if (state.prepared !== (plan.preFlush === 'replace')) model.bad('batchFlush does not see what preFlush returned');
    return delivery;
  }

  #answer(delivery: Delivery, attempt: number, ok: boolean, error: unknown): void {
    this.#world.model.note(`-- ${delivery.id} attempt ${attempt} ${ok ? 'succeeds' : 'fails'}`);
    if (delivery.attempt === attempt && delivery.phase === 'running' && delivery.answer === undefined)
      delivery.answer = { ok, error };
  }

  // Afterwards

  #postFlush(state: State, context: FlushContext): Awaitable<void> {
    const { model } = this.#world;
    const delivery = model.deliveries.get(context.id);
    model.note(`batchPostFlush ${context.id} attempt ${context.attempt}`);
    if (delivery?.phase !== 'delivered') {
      model.bad(`batchPostFlush of a batch that is ${delivery?.phase ?? 'unknown'}`);
      return;
    }
    if (state !== delivery.sent) model.bad('batchPostFlush sees another state than batchFlush');
    return this.#chore(delivery, 'batchPostFlush');
  }

  #deadLetter(state: State, error: unknown): Awaitable<void> {
    const { model } = this.#world;
    const delivery = model.byState.get(state);
    model.note(`batchDeadLetter [${state.items.join(' ')}]`);
    if (delivery?.phase === 'running') {
      this.#world.listeners.givenUp(delivery, error);
      model.handed.push(delivery);
    }
    if (delivery?.phase !== 'dropped') {
      model.bad(`batchDeadLetter of a batch that is ${delivery?.phase ?? 'unknown'}`);
      return;
    }
    if (error !== delivery.lastError) model.bad('batchDeadLetter gets another error');
    return this.#chore(delivery, 'batchDeadLetter');
  }

  #chore(delivery: Delivery, hook: string): Awaitable<void> {
    const { model, plan } = this.#world;
    const { now } = model;
    const fresh = { attempt: 0, running: false, startedAt: now, retryAt: now, seq: model.next() };
    const chore = (delivery.chore ??= fresh);
    if (chore.running) model.bad(`${hook} of ${delivery.id} runs twice at the same time`);
    if (chore.attempt > 0) {
      const asked = model.demands.some((demand) => demand.seq > chore.seq && demand.at === now);
      if (Math.abs(now - chore.retryAt) > (plan.jitter ? 1 : 0) && !asked)
        model.bad(`${hook} of ${delivery.id} is tried again at ${now}, due at ${chore.retryAt}`);
    }
    const run = ++chore.attempt;
    Object.assign(chore, { running: true, startedAt: now });
    this.#world.enter(hook);
    return this.#act<void>(
      plan.post,
      () => undefined,
      (ok) => {
        if (chore.attempt !== run || !chore.running || !ok) return;
        Object.assign(chore, { running: false, retryAt: Infinity });
        model.release(delivery);
      },
    );
  }

  #terminate(state: State | undefined): Awaitable<void> {
    const { model, plan } = this.#world;
    model.terminated.push(state);
    model.note(`batchTerminate ${state === undefined ? 'nothing' : `[${state.items.join(' ')}]`}`);
    const nothing = (): void => undefined;
    return this.#act(plan.terminate, nothing, nothing, { patience: Infinity });
  }
}
