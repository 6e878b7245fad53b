import { Sink } from '../../lib/sink.js';

/** One promise for all items of a batch. */
class Floor {
  #items = [];
  #promise;
  #resolve;
  #size;
  #flush;
  constructor(size, flush) {
    this.#size = size;
    this.#flush = flush;
  }
  add(item) {
    this.#promise ??= new Promise((resolve) => (this.#resolve = resolve));
    const promise = this.#promise;
    if (this.#items.push(item) === this.#size) {
      const items = this.#items;
      const resolve = this.#resolve;
      this.#items = [];
      this.#promise = undefined;
      this.#flush(items).then(resolve);
    }
    return promise;
  }
}

export async function run({ n, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  const floor = new Floor(batchSize, async (items) => sink.take(items));
  meter.start();
  for (let i = 0; i < n;) {
    const wave = [];
    for (const end = i + batchSize; i < end; i++) wave.push(floor.add(i));
    await Promise.all(wave);
  }
  meter.stop();
  return sink.result(n);
}
