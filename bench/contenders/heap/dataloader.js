import DataLoader from 'dataloader';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n }, meter) =>
  bytesPerItem(
    n,
    () => {
      const loader = new DataLoader(async (items) => items, { cache: false, batchScheduleFn: () => {} });
      const promises = [];
      for (let i = 0; i < n; i++) promises.push(loader.load(i));
      return [loader, promises];
    },
    meter,
  );
