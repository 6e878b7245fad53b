import { runSeed, watchStrayFailures } from '../harness.js';
import { testProof } from '../test-proof.js';
import { KNOWN_SEEDS } from './known-seeds.js';
import { CONTROL_PROOF } from './proof.js';

describe('A1, A2, A11, A12: partial failure, split, clear, pause, configure and hurry', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchStrayFailures();
  });
  afterAll(() => {
    unwatch();
  });

  test.each(KNOWN_SEEDS)('seed %i: %s', async (seed) => {
    expect((await runSeed(CONTROL_PROOF, seed)).violations).toEqual([]);
  });

  testProof(CONTROL_PROOF, { runs: 250 });
});
