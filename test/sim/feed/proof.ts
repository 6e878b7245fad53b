import { random } from 'batch-please/testing';
import { describeError, type Outcome, type Proof, type RunOptions } from '../harness.js';
import { World } from './world.js';

export const FEED_PROOF: Proof = {
  command: 'npm run proof:feed --',
  runs: 50_000,
  run,
};

async function run(seed: number, { trace }: RunOptions): Promise<Outcome> {
  const realRandom = Math.random;
  Math.random = random(seed + 1).next;
  const world = new World(random(seed), trace ?? (() => {}));
  try {
    await world.run();
  } catch (error) {
    world.violations.push(`thrown: ${describeError(error)}`);
  } finally {
    Math.random = realRandom;
  }
  return { violations: world.violations, counts: world.counts };
}
