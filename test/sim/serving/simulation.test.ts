import { sweep, watchStrayFailures } from '../harness.js';
import { SERVING_PROOF } from './proof.js';

const RUNS = 1500;

describe('servings: many callers, partitions, failures, aborts and closes', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchStrayFailures();
  });
  afterAll(() => {
    unwatch();
  });

  test(`${RUNS} seeds: every caller gets an answer, and none that of another`, async () => {
    await sweep(SERVING_PROOF, { runs: RUNS });
  }, 600_000);
});
