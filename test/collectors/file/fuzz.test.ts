import { testFuzz } from './proof/test-fuzz.js';

testFuzz(1, 150);
