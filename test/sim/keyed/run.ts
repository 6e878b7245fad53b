import { main } from '../harness.js';
import { KEYED_PROOF } from './proof.js';

// npm run proof:keyed -- [--runs 50000] [--from 1], or --seed N for one run.
await main(KEYED_PROOF);
