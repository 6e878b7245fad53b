import Bottleneck from 'bottleneck';
import { lateness } from '../../lib/lateness.js';

export const run = (params, meter) =>
  lateness(
    params,
    (flushed) => {
      const batcher = new Bottleneck.Batcher({ maxSize: 1000, maxTime: params.age });
      batcher.on('batch', (items) => flushed(items[0]));
      return (at) => void batcher.add(at);
    },
    meter,
  );
