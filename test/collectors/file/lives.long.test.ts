import { testProof } from '../../sim/test-proof.js';
import { FILE_PROOF } from './proof/proof.js';

describe('simulated lives in the long run, part 1 of 2', () => {
  testProof(FILE_PROOF, { from: 10_001, runs: 10_000 });
});
