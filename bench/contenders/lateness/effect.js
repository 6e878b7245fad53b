import { Effect, Queue, Stream } from 'effect';
import { lateness } from '../../lib/lateness.js';

export const run = (params, meter) =>
  lateness(
    params,
    (flushed) => {
      const queue = Effect.runSync(Queue.unbounded());
      void Effect.runPromise(
        Stream.fromQueue(queue).pipe(
          Stream.groupedWithin(1000, params.age),
          Stream.runForEach((items) => Effect.sync(() => flushed(items[0]))),
        ),
      );
      return (at) => Queue.offerUnsafe(queue, at);
    },
    meter,
  );
