import DataLoader from 'dataloader';
import { SerialBackend, think } from '../../lib/think.js';

export async function run({ callers, duration, window }, meter) {
  const backend = new SerialBackend();
  const loader = new DataLoader((values) => backend.execute(values), {
    cache: false,
    maxBatchSize: callers,
    ...(window && { batchScheduleFn: (callback) => setTimeout(callback, window) }),
  });
  return think({ callers, duration }, (value) => loader.load(value), backend, meter);
}
