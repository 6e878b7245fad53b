import { JetStreamLog } from '../../../dist/esm/distributed/nats/index.js';
import { itemOf } from '../../lib/nats.js';

/** A log that holds `n` items in frames of `frame`. */
export async function filledLog(connection, { n, frame }) {
  const log = new JetStreamLog({ connection, name: 'bench' });
  let next = 0;
  const worker = async () => {
    while (next < n) {
      const from = next;
      next += frame;
      await log.append(
        Array.from({ length: frame }, (_, i) => itemOf(from + i)),
        `frame${from}`,
      );
    }
  };
  await log.open();
  await Promise.all(Array.from({ length: 16 }, worker));
  return log;
}

/** Count and sum of what was consumed. */
export class Tally {
  count = 0;
  sum = 0;
  see(items) {
    this.count += items.length;
    for (const { n } of items) this.sum += n;
  }
  judge(n, extra) {
    if (this.count === n && this.sum === (n * (n - 1)) / 2) return { count: n, ...extra };
    return { failed: `${this.count} of ${n} items, sum ${this.sum}` };
  }
}
