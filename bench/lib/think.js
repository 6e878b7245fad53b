import { performance } from 'node:perf_hooks';

/** A source of numbers that gives each contender the same ones. */
function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** One batch after the other: 2 ms and 1 µs for each value. */
export class SerialBackend {
  #last = Promise.resolve();
  batches = 0;

  execute(values) {
    const mine = this.#last.then(() => this.#run(values));
    this.#last = mine;
    return mine;
  }

  async #run(values) {
    this.batches++;
    const due = performance.now() + 2 + values.length / 1000;
    // Timers count whole milliseconds; the rest is waited for turn by turn.
    await new Promise((resolve) => setTimeout(resolve, 1));
    while (performance.now() < due) await new Promise((resolve) => setImmediate(resolve));
    return values.map((value) => value * 2);
  }
}

/** Callers that think 0–4 ms before each call, for `duration` milliseconds. */
export async function think({ callers, duration }, call, backend, meter) {
  const next = random(1);
  const latencies = [];
  let wrong = 0;
  let value = 0;
  meter.start();
  const started = performance.now();
  const end = started + duration;
  async function caller() {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, next() * 4));
      const asked = performance.now();
      if (asked >= end) return;
      const mine = value++;
      const answer = await call(mine);
      if (answer !== mine * 2) wrong++;
      latencies.push(performance.now() - asked);
    }
  }
  await Promise.all(Array.from({ length: callers }, caller));
  const elapsed = performance.now() - started;
  meter.stop();
  latencies.sort((a, b) => a - b);
  const at = (part) => latencies[Math.floor(latencies.length * part)];
  return {
    count: latencies.length,
    failed: wrong > 0 ? `${wrong} callers got the answer of another` : undefined,
    rate: (latencies.length / elapsed) * 1000,
    p50: at(0.5),
    p99: at(0.99),
    valuesPerBatch: latencies.length / backend.batches,
  };
}
