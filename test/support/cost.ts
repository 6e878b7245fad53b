/** Processor time of the work in ms, at best of two: what other processes take does not count. */
export async function cost(work: () => unknown): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < 2; i++) {
    const start = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

/** Ten times as much takes at most thirty times as long; quadratic would be a hundred times. */
export async function expectLinear(work: (count: number) => unknown, count: number): Promise<void> {
  await work(count);
  const [few, many] = [await cost(() => work(count)), await cost(() => work(10 * count))];
  expect(many).toBeLessThan(30 * Math.max(few, 2));
}
