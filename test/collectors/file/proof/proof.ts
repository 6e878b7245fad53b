import { random } from 'batch-please/testing';
import { describeError, type Outcome, type Proof, type RunOptions } from '../../../sim/harness.js';
import { Ledger } from './ledger.js';
import { live } from './life.js';
import { drawMore, drawPlan, drawTrials } from './plan.js';

export const FILE_PROOF: Proof = {
  command: 'npm run proof:file --',
  runs: 100_000,
  // Seeds of KNOWN_SEEDS are known for what happens without them.
  features: ['trials'],
  run,
};

async function run(seed: number, { trace, without }: RunOptions): Promise<Outcome> {
  const source = random(seed);
  const plan = drawPlan(source);
  const more = random(seed + 2);
  drawMore(plan, more);
  const trials = random(seed + 3);
  if (!without.has('trials')) drawTrials(plan, trials);
  const realRandom = Math.random;
  const { stackTraceLimit } = Error;
  if (trace === undefined) Error.stackTraceLimit = 1; // Stacks that are not read take half of the time.
  Math.random = random(seed + 1).next;
  const ledger = new Ledger(plan, source, more, trials, trace);
  try {
    await live(ledger);
  } catch (error) {
    ledger.bad(`thrown: ${describeError(error)}`);
  } finally {
    Math.random = realRandom;
    Error.stackTraceLimit = stackTraceLimit;
  }
  return { violations: ledger.violations, counts: { 'operations on files': ledger.ops } };
}
