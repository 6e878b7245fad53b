import { range } from '../../lib/callers.js';
import { judge, turn } from '../../lib/sink.js';

/** A list as the mailbox, drained when the event loop turns. */
class Floor {
  #mailbox = [];
  #scheduled = false;
  #handle;
  #drain = () => {
    this.#scheduled = false;
    const messages = this.#mailbox;
    this.#mailbox = [];
    this.#handle(messages);
  };
  constructor(handle) {
    this.#handle = handle;
  }
  cast(message) {
    this.#mailbox.push(message);
    this.#schedule();
  }
  castBatch(messages) {
    for (const message of messages) this.#mailbox.push(message);
    this.#schedule();
  }
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#drain);
  }
}

export async function run({ n, perTurn, batch }, meter) {
  let count = 0;
  let sum = 0;
  const server = new Floor((messages) => {
    for (const message of messages) sum += message;
    count += messages.length;
  });
  meter.start();
  if (batch === undefined) {
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn); i < end; i++) server.cast(i);
      await turn();
    }
  } else {
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn); i < end; i += batch) server.castBatch(range(i, batch));
      await turn();
    }
  }
  while (count < n) await turn();
  meter.stop();
  return judge({ expected: n, count, sum }, { rate: n / (meter.wall / 1e9) });
}
