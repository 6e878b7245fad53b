import { sweep, watchStrayFailures } from '../harness.js';
import { KEYED_PROOF } from './proof.js';

const RUNS = 1_000;

test(`simulation of a batcher per key, long run: ${RUNS} seeds`, async () => {
  const unwatch = watchStrayFailures();
  try {
    await sweep(KEYED_PROOF, { from: 201, runs: RUNS });
  } finally {
    unwatch();
  }
}, 900_000);
