import { KNOWN_SEEDS } from './known-seeds.js';
import { simulate, watchRejections } from './simulate.js';

const RUNS = 3000;

describe('simulation: A1 to A8 hold, whatever hooks, listeners and callers do', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchRejections();
  });
  afterAll(() => {
    unwatch();
  });

  test.each(KNOWN_SEEDS)('seed %i: %s', async (seed) => {
    expect((await simulate(seed)).violations).toEqual([]);
  });

  test(`seeds 1 to ${RUNS}`, async () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const { violations } = await simulate(seed);
      if (violations.length > 0) {
        throw new Error(`${violations.join('\n')}\nreplay: npm run proof:kernel -- --seed ${seed}`);
      }
    }
  }, 60_000);
});
