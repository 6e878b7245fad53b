import { Subject, bufferCount, bufferTime, concatMap } from 'rxjs';
import { Sink, turn } from '../../lib/sink.js';

export async function run({ n, batchSize, perTurn, hook, ages, verify }, meter) {
  const sink = new Sink(verify);
  const subject = new Subject();
  const batches = subject.pipe(ages ? bufferTime(1000, null, batchSize) : bufferCount(batchSize));
  if (hook === 'async') batches.pipe(concatMap(async (items) => sink.take(items))).subscribe();
  else batches.subscribe((items) => items.length > 0 && sink.take(items));
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) subject.next(i);
    await turn();
  }
  await sink.arrived(n);
  meter.stop();
  subject.complete();
  return sink.result(n);
}
