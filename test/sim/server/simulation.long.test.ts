import { testProof } from '../test-proof.js';
import { SERVER_PROOF } from './proof.js';

describe('simulation of a batch server, long run', () => {
  testProof(SERVER_PROOF, { from: 401, runs: 2000 });
});
