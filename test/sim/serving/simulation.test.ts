import { testProof } from '../test-proof.js';
import { SERVING_PROOF } from './proof.js';

describe('servings: every caller gets an answer, and none that of another', () => {
  testProof(SERVING_PROOF, { runs: 500 });
});
