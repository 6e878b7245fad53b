import { sweep, watchStrayFailures } from '../harness.js';
import { KERNEL_PROOF } from './proof.js';

const RUNS = 1500;
/** Real work, not waiting: a slow machine gets the time it needs. */
const TIME = 15 * 60_000;

describe('simulation, long run: A1 to A8 hold, whatever hooks, listeners and callers do', () => {
  let unwatch: () => void;
  beforeAll(() => {
    unwatch = watchStrayFailures();
  });
  afterAll(() => {
    unwatch();
  });

  test(
    `${RUNS} seeds without callers that call back`,
    async () => {
      await sweep(KERNEL_PROOF, { from: 801, runs: RUNS, without: ['reenter', 'closeInHook'] });
    },
    TIME,
  );

  test(
    `${RUNS} seeds with callers that call back`,
    async () => {
      await sweep(KERNEL_PROOF, { from: 401, runs: RUNS });
    },
    TIME,
  );
});
