import { Batcher } from '@tanstack/pacer';
import { lateness } from '../../lib/lateness.js';

export const run = (params, meter) =>
  lateness(
    params,
    (flushed) => {
      const batcher = new Batcher((items) => flushed(items[0]), { maxSize: 1000, wait: params.age });
      return (at) => batcher.addItem(at);
    },
    meter,
  );
