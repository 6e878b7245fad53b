import { live, watchRejections } from './proof/lives.js';

/** Other seeds than those that run with every commit. */
const FROM = 1_000_001;
const LIVES = 10_000;
const STEP = 2_000;

describe('simulated lives in the long run', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchRejections();
  });
  afterAll(() => {
    unwatch();
  });

  const firsts = Array.from({ length: LIVES / STEP }, (_, step) => FROM + step * STEP);
  test.each(firsts)(
    `${STEP} lives from seed %i on hold G1 to G21`,
    async (first) => {
      for (let seed = first; seed < first + STEP; seed++) {
        const { violations } = await live(seed);
        if (violations.length > 0) {
          throw new Error(`${violations.join('\n')}\nreplay: npm run proof:file -- --seed ${seed}`);
        }
      }
    },
    600_000,
  );
});
