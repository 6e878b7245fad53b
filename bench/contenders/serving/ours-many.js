import { BatchServing } from '../../lib/batch-please.js';
import { double, many } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

export async function run({ n, callers, chunk, batchSize }, meter) {
  const serving = new BatchServing({ batchSize, batchTimeout: 0, handleBatch: async (values) => double(values) });
  const answers = await many({ n, callers, chunk }, (values) => serving.dispatchMany(values), meter);
  await serving.close();
  return judge({ expected: n, ...answers }, { rate: n / (meter.wall / 1e9) });
}
