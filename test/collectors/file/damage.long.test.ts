import { testDamage } from './proof/test-damage.js';

testDamage(1, 2000);
