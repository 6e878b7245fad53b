import { create, windowedFiniteBatchScheduler } from '@yornaath/batshit';
import { closedLoop } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

export async function run({ n, callers, batchSize }, meter) {
  const batcher = create({
    fetcher: async (values) => new Map(values.map((value) => [value, value * 2])),
    resolver: (results, value) => results.get(value),
    scheduler: windowedFiniteBatchScheduler({ windowMs: 1, maxBatchSize: batchSize }),
  });
  meter.start();
  const answers = await closedLoop({ n, callers }, (value) => batcher.fetch(value));
  meter.stop();
  return judge({ expected: n, ...answers });
}
