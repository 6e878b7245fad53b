import { random } from 'batch-please/testing';
import { moreOf, planOf } from './plan.js';
import type { KeyedOutcome } from './records.js';
import { World } from './world.js';

/** One life of a KeyedBatcher. */
export async function simulateKeyed(
  seed: number,
  trace: (line: string) => void = () => {},
  without: ReadonlySet<string> = new Set(),
): Promise<KeyedOutcome> {
  const source = random(seed);
  const extra = random(seed ^ 0x2545f491);
  const [plan, more] = [planOf(source), moreOf(extra, without)];
  trace(JSON.stringify({ ...plan, ...more }, (_key, value: unknown) => (value === Infinity ? 'none' : value)));
  const world = new World(plan, more, source, extra, trace);
  await world.live();
  return world.outcome;
}
