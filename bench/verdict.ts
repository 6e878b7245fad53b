import type { Case, Goal, Outcome } from './contract.js';
import { median } from './stats.js';

export interface Verdict {
  readonly goal: Goal;
  /** `a: BatchPlease / floor` */
  readonly text: string;
  readonly reached: number;
  readonly met: boolean;
}

/** What an outcome was, in the unit of its case, round by round. */
export function values(job: Case, outcome: Outcome): number[] {
  return outcome.rounds.map((sample) => sample[job.value] ?? NaN);
}

/** Median over the rounds of the ratio of costs within a round: below 1 is better than `other`. */
export function ratios(job: Case, outcome: Outcome, other: Outcome): number[] {
  const base = values(job, other);
  return values(job, outcome).flatMap((value, round) => {
    const against = base[round];
    if (against === undefined) return [];
    return [job.moreIsBetter === true ? against / value : value / against];
  });
}

export function verdicts(job: Case, outcomes: readonly Outcome[]): Verdict[] {
  return job.goals.flatMap((goal) => {
    const ours = find(outcomes, goal.contender);
    if (ours === undefined) return [];
    const verdict = (reached: number, over: string): Verdict => ({
      goal,
      text: `${job.id}: ${goal.contender}${over}`,
      reached,
      met: reached <= goal.atMost,
    });
    const mine = median(values(job, ours));
    if (goal.kind === 'absolute' || goal.over === undefined) return [verdict(mine, '')];
    if (typeof goal.over === 'object') {
      const rate = median(ours.rounds.map((sample) => sample['rate'] ?? NaN));
      return [verdict(goal.over.figure / rate, ` / ${goal.over.source}`)];
    }
    const other = goal.over === 'best peer' ? bestPeer(job, outcomes) : find(outcomes, goal.over);
    if (other === undefined) return [];
    if (goal.kind === 'difference') return [verdict(mine - median(values(job, other)), ` − ${other.contender.name}`)];
    return [verdict(median(ratios(job, ours, other)), ` / ${other.contender.name}`)];
  });
}

export function find(outcomes: readonly Outcome[], name: string): Outcome | undefined {
  return outcomes.find(
    ({ contender, error, rounds }) => contender.name === name && error === undefined && rounds.length > 0,
  );
}

export function bestPeer(job: Case, outcomes: readonly Outcome[]): Outcome | undefined {
  const sign = job.moreIsBetter === true ? -1 : 1;
  return outcomes
    .filter(({ contender, error, rounds }) => contender.role === 'peer' && error === undefined && rounds.length > 0)
    .sort((a, b) => sign * (median(values(job, a)) - median(values(job, b))))[0];
}
