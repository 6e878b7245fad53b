import { live, watchRejections } from './lives.js';

const LIVES = 3000;

/** Half of what runs with every commit: two files share the work, so that two workers can. */
export function testLives(from: number): void {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchRejections();
  });
  afterAll(() => {
    unwatch();
  });

  test(`seeds ${from} to ${from + LIVES - 1}`, async () => {
    for (let seed = from; seed < from + LIVES; seed++) {
      const { violations } = await live(seed);
      if (violations.length > 0) {
        throw new Error(`${violations.join('\n')}\nreplay: npm run proof:file -- --seed ${seed}`);
      }
    }
  }, 120_000);
}
