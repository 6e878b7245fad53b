import { sweep, watchStrayFailures } from '../harness.js';
import { SERVER_PROOF } from './proof.js';

const RUNS = 2000;

test(`simulation of a batch server, long run: ${RUNS} seeds`, async () => {
  const unwatch = watchStrayFailures();
  try {
    await sweep(SERVER_PROOF, { from: 801, runs: RUNS });
  } finally {
    unwatch();
  }
}, 900_000);
