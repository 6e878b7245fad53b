import { BatchServing } from '../../lib/batch-please.js';
import { closedLoop, double } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

export async function run({ n, callers, batchSize, partitions }, meter) {
  const serving = new BatchServing({
    batchSize,
    batchTimeout: 0,
    handleBatch: async (values) => double(values),
    ...(partitions && { partitions }),
  });
  meter.start();
  const answers = await closedLoop({ n, callers }, (value) => serving.dispatch(value));
  meter.stop();
  await serving.close();
  return judge({ expected: n, ...answers }, { rate: n / (meter.wall / 1e9) });
}
