import { sweep, watchStrayFailures } from '../harness.js';
import { KEYED_PROOF } from './proof.js';

const RUNS = 1000;

test(`simulation of KeyedBatcher, long run: ${RUNS} seeds`, async () => {
  const unwatch = watchStrayFailures();
  try {
    await sweep(KEYED_PROOF, { from: 1001, runs: RUNS });
  } finally {
    unwatch();
  }
}, 900_000);
