import { sweep, watchStrayFailures } from '../harness.js';
import { testKnownSeeds, testProof } from '../test-proof.js';
import { KNOWN_SEEDS, KNOWN_SEEDS_WITHOUT } from './known-seeds.js';
import { FEATURES } from './plan.js';
import { KEYED_PROOF } from './proof.js';

/** Enough to see that the runs do something. */
const RUNS = 20;

describe('seeds that once found something', () => {
  testKnownSeeds(KEYED_PROOF, KNOWN_SEEDS, ['limits']);
  testKnownSeeds(KEYED_PROOF, KNOWN_SEEDS_WITHOUT, FEATURES);
});

describe('a batcher per key, against a naive model', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchStrayFailures();
  });
  afterAll(() => {
    unwatch();
  });

  testProof(KEYED_PROOF, { runs: 100 });

  test(`A1, A2, A4, A5, A7: ${RUNS} seeds: bounds, order, fairness, keys; nothing is lost or left unsettled`, async () => {
    const { items, attempts, evicted, late, made } = await sweep(KEYED_PROOF, { runs: RUNS });
    expect(items).toBeGreaterThan(50 * RUNS);
    expect(attempts).toBeGreaterThan(20 * RUNS);
    expect(evicted).toBeGreaterThan(RUNS / 4);
    expect(Math.min(late ?? 0, made ?? 0)).toBeGreaterThan(RUNS / 4);
  }, 600_000);
});
