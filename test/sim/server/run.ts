import { main } from '../harness.js';
import { SERVER_PROOF } from './proof.js';

// npm run proof:server -- [--runs 50000] [--from 1], or --seed N for one run.
await main(SERVER_PROOF);
