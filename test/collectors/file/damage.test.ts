import { testDamage } from './proof/test-damage.js';

// One bit of each byte, and all eight places in turn; `damage.long.test.ts` flips them all.
testDamage(7, 250);
