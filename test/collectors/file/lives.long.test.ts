import { testLives } from './proof/test-lives.js';

/** Other seeds than those that run with every commit. */
describe('simulated lives in the long run', () => {
  testLives(1_000_001, 1500, 500);
});
