import { ROOT_CONTEXT, type SpanContext } from '@opentelemetry/api';
import { type Arrival, Arrivals, type Group } from './arrivals.js';
import { patch } from './patch.js';
import { type Levels, type Recorder, inSpan } from './recorder.js';
import { type CollectorTarget, listen } from './targets.js';

interface FlushContext {
  readonly id: string;
  readonly attempt: number;
  readonly size: number;
  readonly reason: string;
}

/** A collector whose `batchFlush` is a method: spans are active while it runs, so what it calls becomes their child. */
export function instrumentCollector(target: CollectorTarget, recorder: Recorder): () => void {
  const { state } = target; // from here on the hooks of the options are methods
  const arrivals = new Arrivals();
  /** Batches that have begun, by id. */
  const groups = new Map<string, Group>();
  let refused = state.counts.refused;
  let returned = state.counts.returned;

  const groupOf = ({ id, attempt, reason, size }: FlushContext): Group => {
    let group = groups.get(id);
    if (group !== undefined) return group;
    if (state.counts.refused !== refused || state.counts.returned !== returned) arrivals.lost();
    ({ refused, returned } = state.counts);
    // Batches of earlier processes, and parts of a batch, were not added here.
    const ours = attempt === 1 && reason !== 'recovery' && !/\/\d+$/.test(id);
    group = ours ? arrivals.take(size) : { at: performance.now(), spans: [] };
    groups.set(id, group);
    return group;
  };

  const adding = (original: (...args: never[]) => unknown) =>
    function (this: unknown, ...args: never[]): unknown {
      const { dropped, totalItems } = state.counts;
      if (state.counts.refused !== refused) arrivals.lost();
      const known = state.counts.refused;
      // Before the call, which may already deliver it.
      const arrival = arrivals.add();
      const result = original.apply(this, args);
      ({ refused } = state.counts);
      if (refused > known) arrivals.remove(arrival);
      else if (state.counts.dropped > dropped) arrivals.lost();
      if (state.counts.totalItems === totalItems) waitForRoom(arrival, result);
      return result;
    };

  /** It joins later, in its turn; or not at all. */
  const waitForRoom = (arrival: Arrival, result: unknown): void => {
    if (result instanceof Promise) {
      arrival.waits = true;
      result.then(
        () => {
          arrival.waits = false;
        },
        () => {
          arrivals.remove(arrival);
        },
      );
    } else arrivals.remove(arrival);
  };

  const flushing = (original: (...args: never[]) => unknown) =>
    function (this: unknown, batch: never, context: never): unknown {
      const flush = context as FlushContext;
      const span = recorder.start(flush, groupOf(flush).spans);
      const began = performance.now();
      const settled = (failure?: { error: unknown }): void => {
        if (failure === undefined) groups.delete(flush.id);
        recorder.end(span, flush, performance.now() - began, failure);
      };
      return watch(() => inSpan(span, ROOT_CONTEXT, () => original.call(this, batch, context)), settled);
    };

  const unpatch = patch(target, {
    addItem: adding,
    syncAddItem: adding,
    deliverItem: adding,
    batchFlush: flushing,
  });
  const reset = (): void => {
    arrivals.reset();
    groups.clear();
    ({ refused, returned } = state.counts);
  };
  // At a close that has not delivered everything, nothing is drained.
  const offs = ['drained', 'closed'].map((event) => listen(target, event, reset));
  offs.push(recorder.observe(() => levelsOf(target, oldestOf(target, arrivals, groups))));
  return () => {
    unpatch();
    for (const off of offs) off();
  };
}

/** Calls it, and then `settled`, without a microtask of its own where it answers at once. */
function watch(call: () => unknown, settled: (failure?: { error: unknown }) => void): unknown {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    settled({ error });
    throw error;
  }
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then !== 'function') {
    settled();
    return result;
  }
  return (result as PromiseLike<unknown>).then(
    (value) => {
      settled();
      return value;
    },
    (error: unknown) => {
      settled({ error });
      throw error;
    },
  );
}

function oldestOf({ state }: CollectorTarget, arrivals: Arrivals, groups: Map<string, Group>): number | undefined {
  if (state.pending === 0) return 0;
  const live = new Set(state.batches?.map(({ id }) => id));
  for (const id of groups.keys()) if (!live.has(id)) groups.delete(id);
  let oldest = arrivals.oldest;
  for (const { at } of groups.values()) oldest = Math.min(oldest ?? Infinity, at);
  return oldest === undefined ? undefined : performance.now() - oldest;
}

export function levelsOf({ state }: CollectorTarget, oldest: number | undefined): Levels {
  const { delivered, refused, dropped, returned } = state.counts;
  return {
    pending: state.pending,
    waiting: state.waiting,
    oldest,
    outcomes: { delivered, refused, dropped, ...(returned !== undefined && { returned }) },
  };
}

/** Contexts of calls whose promise has just settled: they belong to the batch of the next event. */
export class Settled {
  #spans: SpanContext[] = [];

  note(span: SpanContext | undefined, promise: unknown): void {
    if (span === undefined || !(promise instanceof Promise)) return;
    const settled = (): void => {
      if (this.#spans.push(span) === 1) this.#forgetSoon();
    };
    promise.then(settled, settled);
  }

  /** Calls that settled without a batch (aborted, timed out, mapped later) belong to no later batch either. */
  #forgetSoon(): void {
    const spans = this.#spans;
    const wait = (microtasks: number): void => {
      if (microtasks > 0) {
        queueMicrotask(() => {
          wait(microtasks - 1);
        });
      } else if (this.#spans === spans) this.#spans = [];
    };
    wait(3);
  }

  /** After the promises that settled before the event. */
  take(use: (spans: readonly SpanContext[]) => void): void {
    // Two, since the promise of a call that has filled its batch is known only when that call returns.
    queueMicrotask(() => {
      queueMicrotask(() => {
        const spans = this.#spans;
        this.#spans = [];
        use(spans);
      });
    });
  }
}
