import { closedLoop } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

/** One promise per call, answered when the event loop turns. */
class Floor {
  #mailbox = [];
  #scheduled = false;
  #handle;
  #drain = () => {
    this.#scheduled = false;
    const calls = this.#mailbox;
    this.#mailbox = [];
    this.#handle(calls);
  };
  constructor(handle) {
    this.#handle = handle;
  }
  call(request) {
    return new Promise((reply) => {
      this.#mailbox.push({ request, reply });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(this.#drain);
    });
  }
}

export async function run({ n, callers }, meter) {
  const server = new Floor((calls) => {
    for (const call of calls) call.reply(call.request * 2);
  });
  meter.start();
  const answers = await closedLoop({ n, callers }, (value) => server.call(value));
  meter.stop();
  return judge({ expected: n, ...answers }, { rate: n / (meter.wall / 1e9) });
}
