import DataLoader from 'dataloader';
import { closedLoop, double } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

export async function run({ n, callers, batchSize }, meter) {
  const loader = new DataLoader(async (values) => double(values), { cache: false, maxBatchSize: batchSize });
  meter.start();
  const answers = await closedLoop({ n, callers }, (value) => loader.load(value));
  meter.stop();
  return judge({ expected: n, ...answers }, { rate: n / (meter.wall / 1e9) });
}
