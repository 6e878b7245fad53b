import { sweep, watchStrayFailures } from '../harness.js';
import { SERVING_PROOF } from './proof.js';

const RUNS = 1500;

test(`simulation of servings, long run: ${RUNS} seeds`, async () => {
  const unwatch = watchStrayFailures();
  try {
    await sweep(SERVING_PROOF, { from: 501, runs: RUNS });
  } finally {
    unwatch();
  }
}, 900_000);
