// Each batch waits, blocking its thread, until as many have arrived as the barrier is for.
export function handleBatch(values) {
  return values.map(({ barrier, count }) => {
    const arrived = new Int32Array(barrier);
    Atomics.add(arrived, 0, 1);
    Atomics.notify(arrived, 0);
    for (let seen = Atomics.load(arrived, 0); seen < count; seen = Atomics.load(arrived, 0)) {
      if (Atomics.wait(arrived, 0, seen, 20_000) === 'timed-out') return 'alone';
    }
    return 'together';
  });
}
