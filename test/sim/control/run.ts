import { main } from '../harness.js';
import { CONTROL_PROOF } from './proof.js';

// npm run proof:control -- [--runs 50000] [--from 1], or --seed N for one run.
await main(CONTROL_PROOF);
