import { sweep, watchStrayFailures } from '../harness.js';
import { FEED_PROOF } from './proof.js';

const RUNS = 60;

test(`a feed loses nothing, buries no healthy item and buries poison once: ${RUNS} seeds`, async () => {
  const unwatch = watchStrayFailures();
  try {
    await sweep(FEED_PROOF, { runs: RUNS });
  } finally {
    unwatch();
  }
}, 300_000);
