import { testProof } from '../test-proof.js';
import { KERNEL_PROOF } from './proof.js';

describe('simulation, long run: A1 to A8 hold, whatever hooks, listeners and callers do', () => {
  testProof(KERNEL_PROOF, { from: 401, runs: 1000, without: ['reenter', 'closeInHook'] });
  testProof(KERNEL_PROOF, { from: 301, runs: 1000 });
});
