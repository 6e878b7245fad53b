import { cargoQueue } from 'async';
import { Sink, turn } from '../../lib/sink.js';

export async function run({ n, batchSize, perTurn, hook, verify }, meter) {
  const sink = new Sink(verify);
  const queue = cargoQueue(
    hook === 'async'
      ? async (items) => sink.take(items)
      : (items, done) => {
          sink.take(items);
          done();
        },
    1,
    batchSize,
  );
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) queue.push(i);
    await turn();
  }
  await sink.arrived(n);
  meter.stop();
  return sink.result(n);
}
