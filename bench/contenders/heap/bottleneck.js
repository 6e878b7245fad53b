import Bottleneck from 'bottleneck';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n }, meter) =>
  bytesPerItem(
    n,
    () => {
      const batcher = new Bottleneck.Batcher({ maxSize: n + 1 });
      for (let i = 0; i < n; i++) batcher.add(i);
      return [batcher];
    },
    meter,
  );
