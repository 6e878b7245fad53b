import fastq from 'fastq';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n, acknowledged }, meter) =>
  bytesPerItem(
    n,
    () => {
      const promises = [];
      const queue = acknowledged ? fastq.promise(() => new Promise(() => {}), 1) : fastq(() => {}, 1);
      for (let i = 0; i < n; i++) {
        if (acknowledged) promises.push(queue.push(i));
        else queue.push(i);
      }
      return [queue, promises];
    },
    meter,
  );
