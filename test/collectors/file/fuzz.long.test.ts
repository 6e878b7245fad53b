import { testFuzz } from './proof/test-fuzz.js';

testFuzz(10_001, 3000);
