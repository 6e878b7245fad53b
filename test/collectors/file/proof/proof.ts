import { random } from 'batch-please/testing';
import { describeError, type Outcome, type Proof, type RunOptions } from '../../../sim/harness.js';
import { Ledger } from './ledger.js';
import { live } from './life.js';
import { drawFates, drawMore, drawParts, drawPlan, drawTrials, drawVerbs } from './plan.js';

export const FILE_PROOF: Proof = {
  command: 'npm run proof:file --',
  runs: 100_000,
  // Seeds are known for what happened before they were there.
  features: ['trials', 'parts', 'fates', 'verbs'],
  run,
};

async function run(seed: number, { trace, without }: RunOptions): Promise<Outcome> {
  const source = random(seed);
  const plan = drawPlan(source);
  const more = random(seed + 2);
  drawMore(plan, more);
  const trials = random(seed + 3);
  if (!without.has('trials')) drawTrials(plan, trials);
  const parts = random(seed + 4);
  if (!without.has('parts')) drawParts(plan, parts);
  const fates = random(seed + 5);
  if (!without.has('fates')) drawFates(plan, fates);
  const verbs = random(seed + 6);
  if (!without.has('verbs')) drawVerbs(plan, verbs);
  const realRandom = Math.random;
  const { stackTraceLimit } = Error;
  if (trace === undefined) Error.stackTraceLimit = 1; // Stacks that are not read take half of the time.
  Math.random = random(seed + 1).next;
  const ledger = new Ledger(plan, source, more, trials, parts, fates, verbs, trace);
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
