// One contender, alone in its process: checks it, warms it up, measures it, and prints one line of JSON.
// Run as: node --expose-gc child.js '{"module": "add/ours", "params": {…}, "warmup": {…}, "warmups": 2, "repeats": 3}'
import { performance } from 'node:perf_hooks';

const { module, params, warmup, warmups, repeats } = JSON.parse(process.argv[2]);
const { run } = await import(new URL(`../contenders/${module}.js`, import.meta.url));

/** What a contender starts when it is set up, and stops when its last item has arrived. */
class Meter {
  wall = 0;
  cpu = 0;
  #wall = 0;
  #cpu = undefined;

  start() {
    // No forced garbage collection: it throws optimized code away, which is then what would be measured.
    this.#cpu = process.cpuUsage();
    this.#wall = performance.now();
  }

  /** Nanoseconds. `cpu` is that of all threads: the garbage collector's and the compiler's count too. */
  stop() {
    this.wall += (performance.now() - this.#wall) * 1e6;
    const { user, system } = process.cpuUsage(this.#cpu);
    this.cpu += (user + system) * 1e3;
  }
}

// The first run checks every single item, the measured ones only what costs nothing per item.
for (let i = 0; i < warmups; i++) {
  const result = await run({ ...params, ...warmup, verify: true }, new Meter());
  if (result.failed) fail(result);
}

const samples = [];
for (let i = 0; i < repeats; i++) {
  const meter = new Meter();
  let result = {};
  // Short runs are added up, as the clock of the processor would be too coarse for one of them.
  for (let time = 0; time < (params.times ?? 1); time++) {
    result = await run({ ...params, verify: false }, meter);
    if (result.failed) fail(result);
  }
  const items = result.count * (params.times ?? 1);
  samples.push({ wall: meter.wall / items, cpu: meter.cpu / items, ...result });
}
finish({ samples, maxRSS: process.resourceUsage().maxRSS * 1024 });

function fail(result) {
  finish({ error: result.failed });
}

function finish(result) {
  // A peer's timers and workers must not keep the process.
  process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0));
}
