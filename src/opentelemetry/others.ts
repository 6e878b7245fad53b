import type { SpanContext } from '@opentelemetry/api';
import { Arrivals } from './arrivals.js';
import { Settled, levelsOf } from './collector.js';
import { patch } from './patch.js';
import { type Flush, type Recorder, activeSpan } from './recorder.js';
import { type CollectorTarget, type ServerTarget, type ServingTarget, listen } from './targets.js';

type Method = (...args: never[]) => unknown;

interface Ended extends Flush {
  readonly duration: number;
}

interface Failed extends Ended {
  readonly error: unknown;
  readonly hook?: string;
}

/** Notes in which context calls were made, by the promises that they were given. */
function noting(settled: Pick<Settled, 'note'>): (original: Method) => Method {
  return (original) =>
    function (this: unknown, ...args: never[]): unknown {
      const span = activeSpan();
      const result = original.apply(this, args);
      settled.note(span, result);
      return result;
    };
}

/** More microtasks than a `KeyedBatcher` takes from the event of a batch until the promises of its items have settled. */
const HOPS = 16;

/**
 * Contexts of items that were just delivered. They belong to the batch of the event before, unless another batch, of
 * another key, has ended meanwhile: then they are left out.
 */
class Delivered {
  #spans: SpanContext[] = [];
  #ended: ((spans: readonly SpanContext[]) => void)[] = [];

  note(span: SpanContext | undefined, promise: unknown): void {
    if (span === undefined || !(promise instanceof Promise)) return;
    promise.then(
      () => this.#spans.push(span),
      () => undefined,
    );
  }

  take(use: (spans: readonly SpanContext[]) => void): void {
    const ends = this.#ended.push(use);
    const wait = (hops: number): void => {
      if (ends < this.#ended.length) return; // the last one reports them all
      if (hops > 0) {
        queueMicrotask(() => {
          wait(hops - 1);
        });
        return;
      }
      const [ended, spans] = [this.#ended, this.#spans];
      [this.#ended, this.#spans] = [[], []];
      for (const end of ended) end(ended.length === 1 ? spans : []);
    };
    wait(HOPS);
  }
}

/** A collector whose flush cannot be seen from outside: by its events. */
export function instrumentKeyed(target: CollectorTarget, recorder: Recorder): () => void {
  const delivered = new Delivered();
  const offs = [
    patch(target, { deliverItem: noting(delivered) }),
    listen(target, 'flushed', (batch: Ended) => {
      delivered.take((spans) => {
        recorder.ended(batch, spans);
      });
    }),
    listen(target, 'failed', (batch: Failed) => {
      if (batch.hook === undefined || batch.hook === 'batchFlush') recorder.ended(batch, [], { error: batch.error });
    }),
    recorder.observe(() => levelsOf(target, target.state.pending === 0 ? 0 : undefined)),
  ];
  return () => {
    for (const off of offs) off();
  };
}

export function instrumentServing(target: ServingTarget, recorder: Recorder): () => void {
  const settled = new Settled();
  const note = noting(settled);
  const offs = [
    patch(target, { dispatch: note, dispatchMany: note, settleMany: note }),
    listen(target, 'executed', (batch: Ended) => {
      settled.take((spans) => {
        recorder.ended(batch, spans);
      });
    }),
    listen(target, 'failed', (batch: Failed) => {
      settled.take((spans) => {
        recorder.ended(batch, spans, { error: batch.error });
      });
    }),
    recorder.observe(() => {
      const { pending, counts } = target.state;
      const { delivered, failed, aborted } = counts;
      const oldest = pending === 0 ? 0 : undefined;
      return { pending, waiting: pending, oldest, outcomes: { delivered, failed, aborted } };
    }),
  ];
  return () => {
    for (const off of offs) off();
  };
}

type Traced = { readonly type: 'in' } | { readonly type: 'out' } | ({ readonly type: 'batch' } & Ended);

/** The trace shows that messages are handled in the order of arrival. */
export function instrumentServer(target: ServerTarget, recorder: Recorder): () => void {
  const arrivals = new Arrivals();
  const offs = [
    target.sys.trace(((event: Traced) => {
      if (event.type === 'in') arrivals.add();
      else if (event.type === 'batch') recorder.ended(event, arrivals.take(event.size).spans);
    }) as never),
    recorder.observe(() => {
      const { pending, handled, failed, dropped, refused } = target.sys.statistics();
      const since = arrivals.oldest;
      const oldest = pending === 0 ? 0 : since === undefined ? undefined : performance.now() - since;
      return { pending, waiting: pending, oldest, outcomes: { handled, failed, dropped, refused } };
    }),
  ];
  return () => {
    for (const off of offs) off();
  };
}
