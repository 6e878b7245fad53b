import { sweep, watchStrayFailures } from '../harness.js';
import { CONTROL_PROOF } from './proof.js';

const RUNS = 1500;

test(`simulation of delivery control, long run: ${RUNS} seeds`, async () => {
  const unwatch = watchStrayFailures();
  try {
    await sweep(CONTROL_PROOF, { from: 401, runs: RUNS });
  } finally {
    unwatch();
  }
}, 900_000);
