import { testProof } from '../test-proof.js';
import { SERVING_PROOF } from './proof.js';

describe('simulation of servings, long run', () => {
  testProof(SERVING_PROOF, { from: 501, runs: 2000 });
});
