/**
 * Where every contender delivers: takes lists of the integers 0, 1, 2, … and tells at the end whether all of them arrived,
 * once, and in order.
 */
export class Sink {
  count = 0;
  batches = 0;
  #sum = 0;
  #next = 0;
  #disorder = 0;
  #verify;
  #waiting;

  /** With `verify` it looks at each item, else at the ends of each batch, so as not to be what is measured. */
  constructor(verify = false) {
    this.#verify = verify;
  }

  take(items) {
    const length = items.length;
    this.batches++;
    if (this.#verify) {
      for (let i = 0; i < length; i++) {
        if (items[i] !== this.#next) this.#disorder++;
        this.#next = items[i] + 1;
        this.#sum += items[i];
      }
    } else {
      const first = items[0];
      const last = items[length - 1];
      if (first !== this.#next || last !== first + length - 1) this.#disorder++;
      this.#next = last + 1;
      this.#sum += ((first + last) * length) / 2;
    }
    this.count += length;
    if (this.#waiting !== undefined && this.count >= this.#waiting.count) this.#waiting.resolve();
  }

  /** Resolves when that many items are there; fails after 60 seconds without, for those that lose some. */
  arrived(count) {
    if (this.count >= count) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 60_000);
      this.#waiting = {
        count,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      };
    });
  }

  result(expected) {
    return judge({ expected, count: this.count, sum: this.#sum, disorder: this.#disorder }, { batches: this.batches });
  }
}

/** Of the integers below `expected`, after they went through. */
export function judge({ expected, count, sum, disorder = 0 }, more = {}) {
  const right = (expected * (expected - 1)) / 2;
  let failed;
  if (count !== expected) failed = `${expected} items went in, ${count} came out`;
  else if (disorder > 0) failed = `items came out in another order (${disorder} times)`;
  else if (sum !== right) failed = `the sum of the items is ${sum} instead of ${right}`;
  return { count, failed, ...more };
}

/** The event loop turns. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));
