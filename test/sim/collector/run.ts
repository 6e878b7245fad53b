import { main } from '../harness.js';
import { KERNEL_PROOF } from './proof.js';

// npm run proof:kernel -- [--runs 50000] [--from 1] [--without reenter,closeInHook], or --seed N for one run.
await main(KERNEL_PROOF);
