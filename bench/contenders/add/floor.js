import { Sink, turn } from '../../lib/sink.js';

/** The least that collects: an array behind a method. */
class Floor {
  #items = [];
  #size;
  #flush;
  constructor(size, flush) {
    this.#size = size;
    this.#flush = flush;
  }
  add(item) {
    if (this.#items.push(item) === this.#size) {
      const items = this.#items;
      this.#items = [];
      this.#flush(items);
    }
  }
}

/** The same with an async sink, which gets one batch after the other. */
class AsyncFloor extends Floor {
  constructor(size, flush) {
    let last = Promise.resolve();
    super(size, (items) => (last = last.then(() => flush(items))));
  }
}

export async function run({ n, batchSize, perTurn, hook, verify }, meter) {
  const sink = new Sink(verify);
  const floor =
    hook === 'async'
      ? new AsyncFloor(batchSize, async (items) => sink.take(items))
      : new Floor(batchSize, (items) => sink.take(items));
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) floor.add(i);
    await turn();
  }
  await sink.arrived(n);
  meter.stop();
  return { ...sink.result(n), rate: n / (meter.wall / 1e9) };
}
