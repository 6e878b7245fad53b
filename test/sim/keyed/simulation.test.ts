import { runSeed, sweep, watchStrayFailures } from '../harness.js';
import { testProof } from '../test-proof.js';
import { KNOWN_SEEDS } from './known-seeds.js';
import { KEYED_PROOF } from './proof.js';

/** Enough to see that the runs do something. */
const RUNS = 20;

describe('a batcher per key, against a naive model', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchStrayFailures();
  });
  afterAll(() => {
    unwatch();
  });

  test.each(KNOWN_SEEDS)('seed %i: %s', async (seed) => {
    expect((await runSeed(KEYED_PROOF, seed)).violations).toEqual([]);
  });

  testProof(KEYED_PROOF, { runs: 100 });

  test(`A1, A2, A4, A5, A7: ${RUNS} seeds: bounds, order, fairness, keys; nothing is lost or left unsettled`, async () => {
    const { items, attempts, evicted } = await sweep(KEYED_PROOF, { runs: RUNS });
    expect(items).toBeGreaterThan(50 * RUNS);
    expect(attempts).toBeGreaterThan(20 * RUNS);
    expect(evicted).toBeGreaterThan(RUNS / 4);
  }, 600_000);
});
