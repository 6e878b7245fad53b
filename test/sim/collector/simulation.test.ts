import { runSeed, watchStrayFailures } from '../harness.js';
import { testProof } from '../test-proof.js';
import { KNOWN_QUIET_SEEDS, KNOWN_SEEDS } from './known-seeds.js';
import { KERNEL_PROOF } from './proof.js';

const QUIET = ['reenter', 'closeInHook'];

describe('simulation: A1 to A8 hold, whatever hooks, listeners and callers do', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchStrayFailures();
  });
  afterAll(() => {
    unwatch();
  });

  test.each(KNOWN_SEEDS)('seed %i: %s', async (seed) => {
    expect((await runSeed(KERNEL_PROOF, seed)).violations).toEqual([]);
  });

  test.each(KNOWN_QUIET_SEEDS)('seed %i, without calls from hooks and listeners: %s', async (seed) => {
    expect((await runSeed(KERNEL_PROOF, seed, { without: new Set(QUIET) })).violations).toEqual([]);
  });

  testProof(KERNEL_PROOF, { runs: 400, without: QUIET });
  testProof(KERNEL_PROOF, { runs: 300 });
});
