import { testDamage } from './proof/test-damage.js';

// Every 31st bit: all eight places in turn; `damage.long.test.ts` flips them all.
testDamage(31, 60);
