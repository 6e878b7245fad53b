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
function noting(settled: Settled): (original: Method) => Method {
  return (original) =>
    function (this: unknown, ...args: never[]): unknown {
      const span = activeSpan();
      const result = original.apply(this, args);
      settled.note(span, result);
      return result;
    };
}

/** A collector whose flush cannot be seen from outside: by its events. */
export function instrumentKeyed(target: CollectorTarget, recorder: Recorder): () => void {
  const settled = new Settled();
  const offs = [
    patch(target, { deliverItem: noting(settled) }),
    listen(target, 'flushed', (batch: Ended) => {
      settled.take((spans) => {
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
