import type { Context, Partitions } from '../partitions.js';
import { countResults } from '../partitions.js';
import { cloneErrorOf, decode, encodeReason, isUncloneable } from './errors.js';
import { type Answer, Thread, importWorkers } from './worker.js';
import { BatchError, ClosedError, TimeoutError, messageOf } from '../../errors.js';
import { Alarm, type Clock } from '../../core/clock.js';
import { Deque } from '../../core/deque.js';
import { Deferred, RESOLVED, onAbort } from '../../core/promise.js';

/** How long a handler may take to heed the abort of `handlerTimeout` before its thread is terminated, in ms. */
const GRACE = 100;

export interface ThreadPartitionsOptions {
  owner: string;
  clock: Clock;
  count: number;
  worker: string | URL;
  execArgv: readonly string[] | undefined;
  runtimeOptions: unknown;
  handlerTimeout: number;
}

/** A place for one thread at a time. */
interface Slot {
  readonly partition: number;
  readonly inline: boolean;
  thread: Thread | undefined;
  /** Resolves when the thread has heeded an abort, or was terminated. */
  free: Promise<void>;
}

/**
 * Partitions on worker threads. A partition keeps its thread, and with it its state, until the thread dies; work in the
 * caller has threads of its own, as many as there are partitions.
 */
export class ThreadPartitions implements Partitions {
  readonly timesOut = true;
  readonly #options: ThreadPartitionsOptions;
  readonly #slots = new Map<number, Slot>();
  readonly #inlineIdle: Slot[] = [];
  readonly #inlineWaiting = new Deque<Deferred<Slot>>();
  #inlineSlots = 0;
  readonly #threads = new Set<Thread>();
  #closed = false;

  constructor(options: ThreadPartitionsOptions) {
    this.#options = options;
  }

  /** Made and kept by the thread. */
  stateOf(): unknown {
    return undefined;
  }

  async handle(values: readonly unknown[], context: Context): Promise<unknown> {
    if (!context.inline) return this.#handleOn(this.#slotOf(context.partition), values, context);
    const slot = await this.#takeInline();
    try {
      return await this.#handleOn(slot, values, context);
    } finally {
      const next = this.#inlineWaiting.shift();
      if (next === undefined) this.#inlineIdle.push(slot);
      else next.resolve(slot);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([...this.#threads].map((thread) => thread.terminate()));
  }

  #slotOf(partition: number): Slot {
    let slot = this.#slots.get(partition);
    if (slot === undefined) {
      slot = { partition, inline: false, thread: undefined, free: RESOLVED };
      this.#slots.set(partition, slot);
    }
    return slot;
  }

  #takeInline(): Slot | Promise<Slot> {
    const idle = this.#inlineIdle.pop();
    if (idle !== undefined) return idle;
    if (this.#inlineSlots++ < this.#options.count) {
      return { partition: 0, inline: true, thread: undefined, free: RESOLVED };
    }
    const waiting = new Deferred<Slot>();
    this.#inlineWaiting.push(waiting);
    return waiting.promise;
  }

  /** The slot's thread, or a new one: its time does not count as time of the batch. */
  async #threadOf(slot: Slot): Promise<Thread> {
    await slot.free;
    if (slot.thread?.ended === false) return slot.thread;
    const Worker = await importWorkers();
    const { owner, worker, execArgv, runtimeOptions } = this.#options;
    const { partition, inline } = slot;
    if (this.#closed) throw new ClosedError(`${owner} is closed`);
    const name = `the worker of partition ${partition} of ${owner}`;
    const init = { partition, runtimeOptions, inline };
    let thread: Thread;
    try {
      thread = new Thread(Worker, { name, execArgv, workerData: { url: String(worker), init } });
    } catch (error) {
      throw isUncloneable(error) ? error : new BatchError(`${name} did not start: ${messageOf(error)}`, error);
    }
    for (const other of this.#threads) if (other.ended) this.#threads.delete(other);
    this.#threads.add(thread);
    slot.thread = thread;
    return thread;
  }

  async #handleOn(slot: Slot, values: readonly unknown[], context: Context): Promise<unknown> {
    const thread = await this.#threadOf(slot);
    const { clock, handlerTimeout } = this.#options;
    const { partition, size, weight, reason, attempt, runtimeOptions, inline, hooks, signal } = context;
    const sent = { partition, size, weight, reason, attempt, runtimeOptions, inline, hooks: Object.keys(hooks) };
    const task = { context: sent, values, remaining: context.deadline - clock.now() };
    let id = -1;
    let late: (error: unknown) => void = () => undefined;
    const alarm = new Alarm(
      clock,
      () => {
        const error = new TimeoutError('the handler', handlerTimeout);
        thread.abort(id, encodeReason(error));
        slot.free = this.#freed(thread, id);
        late(error);
      },
      false,
    );
    const startTime = (): void => {
      if (handlerTimeout < Infinity) alarm.set(clock.now() + handlerTimeout);
    };
    const removeListener = onAbort(signal, () => {
      thread.abort(id, encodeReason(signal.reason));
    });
    try {
      return await new Promise((resolve, reject) => {
        late = reject;
        const running = { hooks, started: startTime, reject };
        id = send(thread, task, running, resolve);
        startTime();
        if (signal.aborted) thread.abort(id, encodeReason(signal.reason));
      });
    } finally {
      removeListener();
      alarm.set(Infinity);
    }
  }

  /** Gives the handler its grace; then the thread is terminated. */
  async #freed(thread: Thread, id: number): Promise<void> {
    const { clock } = this.#options;
    const deadline = clock.now() + GRACE;
    while (thread.runs(id) && !thread.ended && clock.now() < deadline) {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 5));
    }
    if (thread.runs(id)) await thread.terminate();
  }
}

interface Task {
  context: object;
  values: readonly unknown[];
  remaining: number;
}

type Listeners = Omit<Parameters<Thread['post']>[1], 'expand' | 'resolve'>;

/** Posts the batch. Values that cannot be cloned are left out, and get the error in their slots. */
function send(thread: Thread, task: Task, listeners: Listeners, resolve: (results: unknown) => void): number {
  const post = (values: readonly unknown[], errors: ReadonlyMap<number, unknown>): number => {
    const size = values.length;
    const expand = (list: readonly unknown[], slot: (i: number) => unknown): unknown[] => {
      let at = 0;
      return task.values.map((_, i) => (errors.has(i) ? slot(i) : list[at++]));
    };
    const finish = ({ results, errors: sent }: Answer): void => {
      try {
        const list = countResults(results, size, 'the handler').slice();
        for (const [index, error] of sent) list[index] = decode(error);
        resolve(errors.size === 0 ? list : expand(list, (i) => errors.get(i)));
      } catch (error) {
        listeners.reject(error);
      }
    };
    const hookSlots = (list: unknown[]): unknown[] => (errors.size === 0 ? list : expand(list, () => undefined));
    const context = { ...task.context, size };
    return thread.post({ ...task, context, values }, { ...listeners, expand: hookSlots, resolve: finish });
  };
  try {
    return post(task.values, new Map());
  } catch (error) {
    const errors = new Map<number, unknown>();
    task.values.forEach((value, i) => {
      const failure = cloneErrorOf(value);
      if (failure !== undefined) errors.set(i, failure);
    });
    const good = task.values.filter((_, i) => !errors.has(i));
    if (errors.size === 0) throw error; // no value is to blame: the context cannot be cloned
    if (good.length > 0) return post(good, errors);
    resolve(task.values.map((_, i) => errors.get(i)));
    return -1;
  }
}
