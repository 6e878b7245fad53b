import { main } from '../harness.js';
import { FEED_PROOF } from './proof.js';

// npm run proof:feed -- [--runs 50000] [--from 1], or --seed N for one run.
await main(FEED_PROOF);
