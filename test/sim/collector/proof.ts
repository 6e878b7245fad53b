import { random } from 'batch-please/testing';
import { describeError, type Outcome, type Proof, type RunOptions } from '../harness.js';
import { drawPlan, FEATURES, type Feature } from './plan.js';
import { World } from './world.js';

export const KERNEL_PROOF: Proof = {
  command: 'npm run proof:kernel --',
  runs: 50_000,
  features: FEATURES,
  run,
};

/** One run, decided by its seed and what it leaves out. */
async function run(seed: number, { trace, without }: RunOptions): Promise<Outcome> {
  const source = random(seed);
  const plan = drawPlan(source);
  const realRandom = Math.random;
  Math.random = random(seed + 1).next;
  const world = new World(plan, source, without as ReadonlySet<Feature>, trace);
  if (trace !== undefined)
    world.model.note(JSON.stringify(plan, (_key, value: unknown) => (value === Infinity ? 'none' : value)));
  try {
    await world.run();
  } catch (error) {
    world.model.bad(`thrown: ${describeError(error)}`);
  } finally {
    Math.random = realRandom;
  }
  return { violations: world.model.violations };
}
