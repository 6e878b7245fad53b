import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n, acknowledged }, meter) =>
  bytesPerItem(
    n,
    () => {
      const items = [];
      const promises = [];
      const resolves = [];
      for (let i = 0; i < n; i++) {
        items.push(i);
        if (acknowledged) promises.push(new Promise((resolve) => resolves.push(resolve)));
      }
      return [items, promises, resolves];
    },
    meter,
  );
