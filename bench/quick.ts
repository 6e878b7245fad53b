// npm run bench:quick: our code and its floors only, under a minute; fails when a ratio is worse than its goal by more than
// the noise that was measured along with it, or a bundle is larger than its budget.
import { CASES } from './cases.js';
import type { Case, Contender, Goal } from './contract.js';
import { sizes } from './footprint.js';
import { machine } from './machine.js';
import { measureOnce } from './measure.js';
import { median } from './stats.js';

/** Milliseconds for all cases together; those that are clear take less than their share. */
const TIME = 50_000;
const LEAST_ROUNDS = 3;
const MOST_ROUNDS = 9;
/** More noise than this excuses nothing: a slowdown to the double has to be seen. */
const MOST_NOISE = 0.35;
/** Processes of the same code differ by this much on a quiet machine too: where things lie in memory is up to chance. */
const LEAST_NOISE = 0.1;

interface Check {
  readonly name: string;
  readonly reached: string;
  readonly limit: string;
  readonly verdict: 'ok' | 'goal missed' | 'FAILED';
}

const started = performance.now();
const quick = CASES.filter((job) => job.quick !== undefined && job.goals.some((goal) => local(job, goal)));
const checks: Check[] = [];
for (const [i, job] of quick.entries()) {
  const left = TIME - (performance.now() - started);
  checks.push(...(await check(job, Math.max(left, 0) / (quick.length - i))));
}
for (const { entry, size, budget, goal } of await sizes()) {
  const verdict = size > budget ? 'FAILED' : goal !== undefined && size > goal ? 'goal missed' : 'ok';
  checks.push({ name: `i: ${entry}`, reached: `${size} kB`, limit: `${budget} kB`, verdict });
}

const { load, cores } = machine();
console.log(`\nload ${load} on ${cores} cores, ${((performance.now() - started) / 1000).toFixed(0)} s`);
const width = Math.max(...checks.map(({ name }) => name.length));
for (const { name, reached, limit, verdict } of checks)
  console.log(`${name.padEnd(width)}  ${reached.padStart(9)}  at most ${limit.padStart(18)}  ${verdict}`);
if (checks.some(({ verdict }) => verdict === 'FAILED')) process.exitCode = 1;

/** Whether the goal can be judged without the peers. */
function local(job: Case, goal: Goal): boolean {
  if (goal.kind === 'absolute') return true;
  return goal.kind === 'ratio' && job.contenders.some(({ name, role }) => role === 'floor' && name === goal.over);
}

async function check(job: Case, time: number): Promise<Check[]> {
  const goals = job.goals.filter((goal) => local(job, goal));
  const wanted = new Set(goals.flatMap(({ contender, over }) => [contender, over]));
  const contenders = job.contenders.filter(({ name }) => wanted.has(name));
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  const end = performance.now() + time;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    // Few rounds suffice where everything is within its limit; what fails gets a second chance, however late it is.
    const failing = goals.some((goal) => judge(job, goal, samples).verdict === 'FAILED');
    const late = performance.now() > end;
    if (round >= LEAST_ROUNDS && (late ? !failing || round >= 2 * LEAST_ROUNDS : !unclear(job, goals, samples))) break;
    for (const contender of round % 2 === 0 ? contenders : [...contenders].reverse())
      samples.get(contender.name)?.push(await sample(job, contender));
  }
  return goals.map((goal) => judge(job, goal, samples));
}

async function sample(job: Case, contender: Contender): Promise<number> {
  const effort = { rounds: 1, repeats: 3, warmups: 2 };
  const report = await measureOnce(job, contender, effort, job.quick ?? {});
  if (report.samples === undefined) throw new Error(`${job.id}, ${contender.name}: ${report.error ?? 'no result'}`);
  const costs = report.samples.map((one) => {
    const value = one[job.quickValue ?? job.value] ?? NaN;
    return job.moreIsBetter === true ? 1 / value : value;
  });
  // What disturbs a measurement only ever adds to it.
  return Math.min(...costs);
}

/** The cost (or the ratio of costs) and the part of it by which it could be off. */
function estimate(job: Case, goal: Goal, samples: ReadonlyMap<string, readonly number[]>) {
  const ours = samples.get(goal.contender) ?? [];
  if (goal.kind === 'absolute') {
    const value = job.moreIsBetter === true ? 1 / Math.min(...ours) : Math.min(...ours);
    return { reached: value, noise: 0 };
  }
  const floor = samples.get(goal.over as string) ?? [];
  const noise = Math.min(Math.max(unrest(ours) + unrest(floor), LEAST_NOISE), MOST_NOISE);
  return { reached: Math.min(...ours) / Math.min(...floor), noise };
}

/** How far the better half of the measurements of the same code lie apart. */
function unrest(values: readonly number[]): number {
  const least = Math.min(...values);
  return (median(values) - least) / least;
}

function limitOf(goal: Goal): number {
  return goal.today ?? goal.atMost;
}

/** Neither within the limits nor so far beyond one that more rounds could not change it. */
function unclear(job: Case, goals: readonly Goal[], samples: ReadonlyMap<string, readonly number[]>): boolean {
  return goals.some((goal) => {
    const { reached } = estimate(job, goal, samples);
    return reached >= limitOf(goal) && reached <= limitOf(goal) * (1 + MOST_NOISE) * 1.5;
  });
}

function judge(job: Case, goal: Goal, samples: ReadonlyMap<string, readonly number[]>): Check {
  const { reached, noise } = estimate(job, goal, samples);
  const limit = limitOf(goal);
  const verdict = reached > limit * (1 + noise) ? 'FAILED' : reached > goal.atMost * (1 + noise) ? 'goal missed' : 'ok';
  const over = typeof goal.over === 'string' ? ` / ${goal.over}` : '';
  return {
    name: `${job.id}: ${goal.contender}${over}`,
    reached: reached.toFixed(2),
    limit: `${limit.toFixed(2)}${goal.today === undefined ? '' : ` (goal ${goal.atMost})`} + ${(noise * 100).toFixed(0)} %`,
    verdict,
  };
}
