import { main } from '../harness.js';
import { SERVING_PROOF } from './proof.js';

// npm run proof:serving -- [--runs 50000] [--from 1], or --seed N for one run.
await main(SERVING_PROOF);
