import { performance } from 'node:perf_hooks';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * How late a max age fires: `add(at)` takes one item, whose batch calls `flushed(at)` when it is `age` old. With `load`,
 * the event loop is busy for about 2 ms at a time.
 */
export async function lateness({ n, age, load }, connect, meter) {
  const late = [];
  let settle = () => {};
  const add = connect((at) => {
    late.push(performance.now() - at - age);
    settle();
  });
  let loaded = load;
  if (load) {
    // Of different lengths: equal ones fall into step with the timers, which are then never late.
    const lengths = [0.7, 3.1, 1.9, 2.6, 1.3, 2.4];
    let turns = 0;
    const busy = () => {
      const end = performance.now() + lengths[turns++ % lengths.length];
      while (performance.now() < end);
      if (loaded) setImmediate(busy);
    };
    setImmediate(busy);
  }
  meter.start();
  for (let i = 0; i < n; i++) {
    const arrived = new Promise((resolve) => (settle = resolve));
    add(performance.now());
    await Promise.race([arrived, sleep(age * 100)]);
    // Not always at the same point of a millisecond.
    await sleep((i * 7) % 5);
  }
  meter.stop();
  loaded = false;
  late.sort((a, b) => a - b);
  const at = (part) => late[Math.floor(late.length * part)];
  const failed = late.length === n ? undefined : `${n - late.length} of ${n} batches never came`;
  return { count: n, failed, p50: at(0.5), p99: at(0.99), earliest: late[0] };
}
