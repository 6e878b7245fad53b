import { sweep, watchStrayFailures } from '../harness.js';
import { CONTROL_PROOF } from './proof.js';

const RUNS = 400;

describe('simulation of delivery control', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchStrayFailures();
  });
  afterAll(() => {
    unwatch();
  });

  test(`A1, A2, A11, A12: ${RUNS} seeds of partial failure, split, clear, pause, configure and hurry`, async () => {
    await sweep(CONTROL_PROOF, { runs: RUNS });
  }, 300_000);
});
