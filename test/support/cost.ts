/** Processor time of the work in ms: what other processes take does not count. */
export async function cost(work: () => unknown): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

const ROUNDS = 3;

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

/**
 * The turns of the event loop, in ms, from the call of `work` until its promise settles. By the processor time or the clock,
 * whichever is less: one has what the threads of the engine do besides, the other what other processes take.
 */
export async function turnsOf(work: () => Promise<unknown>): Promise<{ longest: number; all: number }> {
  const turns = { longest: 0, all: 0 };
  const state = { settled: false };
  let done: Promise<void> | undefined;
  while (!state.settled) {
    const start = performance.now();
    const taken = await cost(() => {
      done ??= work().then(() => void (state.settled = true));
      return new Promise((resolve) => setImmediate(resolve));
    });
    const turn = Math.min(taken, performance.now() - start);
    turns.longest = Math.max(turns.longest, turn);
    turns.all += turn;
  }
  return turns;
}
