import { sweep, watchStrayFailures } from '../harness.js';
import { FEED_PROOF } from './proof.js';

const RUNS = 600;

test(`simulation of Feed, long run: ${RUNS} seeds`, async () => {
  const unwatch = watchStrayFailures();
  try {
    await sweep(FEED_PROOF, { from: 101, runs: RUNS });
  } finally {
    unwatch();
  }
}, 900_000);
