import { Effect, Exit, Request, RequestResolver } from 'effect';
import { judge } from '../../lib/sink.js';

const Double = Request.tagged('Double');

/** The callers are fibers, as its users would have them; they wait for each other as promises would. */
export async function run({ n, callers, batchSize }, meter) {
  const resolver = RequestResolver.make((entries) =>
    Effect.promise(async () => {
      for (const entry of entries) entry.completeUnsafe(Exit.succeed(entry.request.value * 2));
    }),
  ).pipe(RequestResolver.batchN(batchSize));
  let next = 0;
  let sum = 0;
  let count = 0;
  const caller = Effect.gen(function* () {
    while (next < n) {
      const value = next++;
      const answer = yield* Effect.request(Double({ value }), resolver);
      if (answer === value * 2) count++;
      sum += answer / 2;
    }
  });
  meter.start();
  await Effect.runPromise(
    Effect.all(
      Array.from({ length: callers }, () => caller),
      { concurrency: 'unbounded', discard: true },
    ),
  );
  meter.stop();
  return judge({ expected: n, count, sum });
}
