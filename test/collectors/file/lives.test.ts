import { runSeed, watchStrayFailures } from '../../sim/harness.js';
import { testProof } from '../../sim/test-proof.js';
import { KNOWN_SEEDS, LATER_SEEDS } from './proof/known-seeds.js';
import { FILE_PROOF } from './proof/proof.js';

describe('simulated lives: G1 to G21 hold, whatever the disk, the power and the sink do', () => {
  testProof(FILE_PROOF, { runs: 400 });
});

describe('seeds that once found a bug', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchStrayFailures();
  });
  afterAll(() => {
    unwatch();
  });

  test.each(KNOWN_SEEDS)('seed %i: %s', async (seed) => {
    expect((await runSeed(FILE_PROOF, seed, { without: new Set(['trials']) })).violations).toEqual([]);
  });

  test.each(LATER_SEEDS)('seed %i: %s', async (seed) => {
    expect((await runSeed(FILE_PROOF, seed)).violations).toEqual([]);
  });
});
