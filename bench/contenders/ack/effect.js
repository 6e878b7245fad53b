import { Effect, Exit, Request, RequestResolver } from 'effect';
import { Sink } from '../../lib/sink.js';

const Deliver = Request.tagged('Deliver');

export async function run({ n, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  const resolver = RequestResolver.make((entries) =>
    Effect.promise(async () => {
      sink.take(entries.map(({ request }) => request.item));
      for (const entry of entries) entry.completeUnsafe(Exit.void);
    }),
  ).pipe(RequestResolver.batchN(batchSize));
  meter.start();
  for (let i = 0; i < n;) {
    const wave = [];
    for (const end = i + batchSize; i < end; i++) wave.push(Effect.request(Deliver({ item: i }), resolver));
    await Effect.runPromise(Effect.all(wave, { concurrency: 'unbounded', discard: true }));
  }
  meter.stop();
  return sink.result(n);
}
