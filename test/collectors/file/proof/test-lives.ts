import { live, watchRejections } from './lives.js';

/** Some of the lives that run with every commit: files share the work, so that workers can. `step` seeds are one test. */
export function testLives(from: number, lives: number, step = lives): void {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchRejections();
  });
  afterAll(() => {
    unwatch();
  });

  const firsts = Array.from({ length: lives / step }, (_, index) => from + index * step);
  test.each(firsts)(
    `${step} lives from seed %i on hold G1 to G21`,
    async (first) => {
      for (let seed = first; seed < first + step; seed++) {
        const { violations } = await live(seed);
        if (violations.length > 0) {
          throw new Error(`${violations.join('\n')}\nreplay: npm run proof:file -- --seed ${seed}`);
        }
      }
    },
    600_000,
  );
}
