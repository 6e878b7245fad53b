import { double, many } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

/** One promise per call; when the event loop turns, all values are handled as one list and cut apart again. */
class Floor {
  #calls = [];
  #scheduled = false;
  #handle;
  constructor(handle) {
    this.#handle = handle;
  }
  dispatchMany(values) {
    return new Promise((resolve) => {
      this.#calls.push({ values, resolve });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => void this.#execute());
    });
  }
  async #execute() {
    this.#scheduled = false;
    const calls = this.#calls;
    this.#calls = [];
    const all = [];
    for (const { values } of calls) for (const value of values) all.push(value);
    const results = await this.#handle(all);
    let start = 0;
    for (const { values, resolve } of calls) resolve(results.slice(start, (start += values.length)));
  }
}

export async function run({ n, callers, chunk }, meter) {
  const floor = new Floor(async (values) => double(values));
  const answers = await many({ n, callers, chunk }, (values) => floor.dispatchMany(values), meter);
  return judge({ expected: n, ...answers }, { rate: n / (meter.wall / 1e9) });
}
