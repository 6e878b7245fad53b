import { random } from 'batch-please/testing';
import { drawPlan, type Feature } from './plan.js';
import { World } from './world.js';

export interface Outcome {
  violations: string[];
}

export interface SimulateOptions {
  trace?: (line: string) => void;
  without?: ReadonlySet<Feature>;
}

let current: World | undefined;

/** What nobody handles belongs to the run that is under way. To be called once per process. */
export function watchRejections(): () => void {
  const onRejection = (error: unknown): void => {
    current?.bad(`unhandled rejection: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  const onException = (error: unknown): void => {
    current?.bad(`uncaught exception: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  process.on('unhandledRejection', onRejection);
  process.on('uncaughtException', onException);
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  return () => {
    process.off('unhandledRejection', onRejection);
    process.off('uncaughtException', onException);
    process.emitWarning = emitWarning;
  };
}

/** One run, decided by its seed alone. */
export async function simulate(seed: number, { trace, without = new Set() }: SimulateOptions = {}): Promise<Outcome> {
  const source = random(seed);
  const plan = drawPlan(source);
  const realRandom = Math.random;
  Math.random = random(seed + 1).next;
  const world = new World(plan, source, without, trace);
  current = world;
  try {
    if (trace !== undefined)
      world.note(JSON.stringify(plan, (_key, value: unknown) => (value === Infinity ? 'none' : value)));
    await world.run();
  } catch (error) {
    world.bad(`thrown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    Math.random = realRandom;
    current = undefined;
  }
  return { violations: world.violations };
}
