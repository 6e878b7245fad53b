import { Effect, Queue, Stream } from 'effect';
import { Sink, turn } from '../../lib/sink.js';

export async function run({ n, batchSize, perTurn, verify }, meter) {
  const sink = new Sink(verify);
  const queue = Effect.runSync(Queue.unbounded());
  const consumed = Effect.runPromise(
    Stream.fromQueue(queue).pipe(
      Stream.groupedWithin(batchSize, '1 second'),
      Stream.runForEach((items) => Effect.promise(async () => sink.take(items))),
    ),
  );
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) Queue.offerUnsafe(queue, i);
    await turn();
  }
  await sink.arrived(n);
  meter.stop();
  Effect.runSync(Queue.shutdown(queue));
  await consumed.catch(() => {});
  return sink.result(n);
}
