import { Subject, bufferCount } from 'rxjs';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n }, meter) =>
  bytesPerItem(
    n,
    () => {
      const subject = new Subject();
      subject.pipe(bufferCount(n + 1)).subscribe(() => {});
      for (let i = 0; i < n; i++) subject.next(i);
      return [subject];
    },
    meter,
  );
