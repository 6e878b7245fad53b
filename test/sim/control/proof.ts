import { random } from 'batch-please/testing';
import { describeError, type Outcome, type Proof, type RunOptions } from '../harness.js';
import { drawPlan } from './plan.js';
import { World } from './world.js';

export const CONTROL_PROOF: Proof = {
  command: 'npm run proof:control --',
  runs: 50_000,
  run,
};

async function run(seed: number, { trace }: RunOptions): Promise<Outcome> {
  const source = random(seed);
  const plan = drawPlan(source);
  const realRandom = Math.random;
  Math.random = random(seed + 1).next;
  const world = new World(plan, source, trace);
  if (trace !== undefined)
    world.note(JSON.stringify(plan, (_key, value: unknown) => (value === Infinity ? 'none' : value)));
  try {
    await world.run();
  } catch (error) {
    world.bad(`thrown: ${describeError(error)}`);
  } finally {
    Math.random = realRandom;
  }
  return { violations: world.violations };
}
