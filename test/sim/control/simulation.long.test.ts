import { testProof } from '../test-proof.js';
import { CONTROL_PROOF } from './proof.js';

describe('simulation of delivery control, long run', () => {
  testProof(CONTROL_PROOF, { from: 401, runs: 4000 });
});
