import { testProof } from '../test-proof.js';
import { CONTROL_PROOF } from './proof.js';

describe('A1, A2, A11, A12: partial failure, split, clear, pause, configure and hurry', () => {
  testProof(CONTROL_PROOF, { runs: 250 });
});
