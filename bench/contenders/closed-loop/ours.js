import { BatchServing } from '../../lib/batch-please.js';
import { SerialBackend, think } from '../../lib/think.js';

export async function run({ callers, duration }, meter) {
  const backend = new SerialBackend();
  const serving = new BatchServing({
    batchSize: callers,
    batchTimeout: 0,
    handleBatch: (values) => backend.execute(values),
  });
  const result = await think({ callers, duration }, (value) => serving.dispatch(value), backend, meter);
  await serving.close();
  return result;
}
