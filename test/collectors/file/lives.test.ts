import { KNOWN_SEEDS, LATER_SEEDS } from './proof/known-seeds.js';
import { live, watchRejections } from './proof/lives.js';
import { testLives } from './proof/test-lives.js';

describe('simulated lives: G1 to G21 hold, whatever the disk, the power and the sink do', () => {
  testLives(1, 700);
});

describe('seeds that once found a bug', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchRejections();
  });
  afterAll(() => {
    unwatch();
  });

  test.each(KNOWN_SEEDS)('seed %i: %s', async (seed) => {
    expect((await live(seed, undefined, true)).violations).toEqual([]);
  });

  test.each(LATER_SEEDS)('seed %i: %s', async (seed) => {
    expect((await live(seed)).violations).toEqual([]);
  });
});
