/** Processor time of the work in ms: what other processes take does not count. */
export async function cost(work: () => unknown): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

const ROUNDS = 10;

/**
 * Four times as much takes at most six times as long; quadratic would be sixteen times. Best of a few rounds, since a
 * collection of garbage may hit either; what is linear mostly needs one.
 */
export async function expectLinear(work: (count: number) => unknown, count: number): Promise<void> {
  await work(count);
  let [few, many] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS && !(many <= 6 * few && many < Infinity); round++) {
    few = Math.min(few, await cost(() => work(count)));
    many = Math.min(many, await cost(() => work(4 * count)));
  }
  expect(many).toBeLessThanOrEqual(6 * few);
}
