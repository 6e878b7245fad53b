import vm from 'node:vm';
import { random } from 'batch-please/testing';
import { Life } from './life.js';
import { drawMore, drawPlan, drawTrials } from './plan.js';

export interface Outcome {
  violations: string[];
  /** Operations on files. */
  ops: number;
}

/** Inside jest `process` is a copy, which hears of nothing. */
const realProcess = vm.runInThisContext('process') as NodeJS.Process;

let current: Life | undefined;

/** What nobody handles belongs to the life that is under way. To be called once per process. */
export function watchRejections(): () => void {
  const report = (error: unknown): void => {
    current?.bad(`A4: unhandled: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  realProcess.on('unhandledRejection', report);
  realProcess.on('uncaughtException', report);
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  return () => {
    realProcess.off('unhandledRejection', report);
    realProcess.off('uncaughtException', report);
    process.emitWarning = emitWarning;
  };
}

/** One life, decided by its seed alone; `plain` leaves out what came later, for seeds that are known for something. */
export async function live(seed: number, trace?: (line: string) => void, plain = false): Promise<Outcome> {
  const source = random(seed);
  const plan = drawPlan(source);
  const more = random(seed + 2);
  drawMore(plan, more);
  const trials = random(seed + 3);
  if (!plain) drawTrials(plan, trials);
  const realRandom = Math.random;
  const { stackTraceLimit } = Error;
  if (trace === undefined) Error.stackTraceLimit = 1; // half of the time goes into stacks that nobody reads
  Math.random = random(seed + 1).next;
  const life = new Life(plan, source, more, trials, trace);
  current = life;
  try {
    await life.run();
  } catch (error) {
    life.bad(`thrown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    Math.random = realRandom;
    Error.stackTraceLimit = stackTraceLimit;
    current = undefined;
  }
  return { violations: life.violations, ops: life.ops };
}
