import { closedLoop, double } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

/** A list of calls, executed when the event loop turns or the batch is full; one promise per call. */
class Floor {
  #values = [];
  #resolves = [];
  #scheduled = false;
  #size;
  #handle;
  constructor(size, handle) {
    this.#size = size;
    this.#handle = handle;
  }
  dispatch(value) {
    return new Promise((resolve) => {
      this.#resolves.push(resolve);
      if (this.#values.push(value) === this.#size) void this.#execute();
      else if (!this.#scheduled) {
        this.#scheduled = true;
        setImmediate(() => {
          this.#scheduled = false;
          if (this.#values.length > 0) void this.#execute();
        });
      }
    });
  }
  async #execute() {
    const values = this.#values;
    const resolves = this.#resolves;
    this.#values = [];
    this.#resolves = [];
    const results = await this.#handle(values);
    for (let i = 0; i < results.length; i++) resolves[i](results[i]);
  }
}

export async function run({ n, callers, batchSize }, meter) {
  const floor = new Floor(batchSize, async (values) => double(values));
  meter.start();
  const answers = await closedLoop({ n, callers }, (value) => floor.dispatch(value));
  meter.stop();
  return judge({ expected: n, ...answers }, { rate: n / (meter.wall / 1e9) });
}
