import { testProof } from '../test-proof.js';
import { CONTROL_PROOF } from './proof.js';

describe('simulation of delivery control, long run', () => {
  testProof(CONTROL_PROOF, { from: 251, runs: 1500 });
});
