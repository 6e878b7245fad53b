import { runSeed, sweep, watchStrayFailures } from '../harness.js';
import { KNOWN_QUIET_SEEDS, KNOWN_SEEDS } from './known-seeds.js';
import { KERNEL_PROOF } from './proof.js';

const RUNS = 800;
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

  test(`seeds 1 to ${RUNS}: hooks and listeners that do not call back`, async () => {
    await sweep(KERNEL_PROOF, { runs: RUNS, without: QUIET });
  });

  test(`seeds 1 to ${RUNS / 2}: hooks and listeners that call back`, async () => {
    await sweep(KERNEL_PROOF, { runs: RUNS / 2 });
  });
});
