import { main } from '../../../sim/harness.js';
import { FILE_PROOF } from './proof.js';

// npm run proof:file -- [--runs 500000] [--from 1] [--without trials], or --seed N for one life.
await main(FILE_PROOF);
