import { Sink } from '../../lib/sink.js';

/** One promise for each item. */
class Floor {
  #items = [];
  #resolves = [];
  #size;
  #flush;
  constructor(size, flush) {
    this.#size = size;
    this.#flush = flush;
  }
  add(item) {
    return new Promise((resolve) => {
      this.#resolves.push(resolve);
      if (this.#items.push(item) === this.#size) {
        const items = this.#items;
        const resolves = this.#resolves;
        this.#items = [];
        this.#resolves = [];
        this.#flush(items).then(() => {
          for (const settle of resolves) settle();
        });
      }
    });
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
