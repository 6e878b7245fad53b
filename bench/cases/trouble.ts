import type { Case, Contender, Goal } from '../contract.js';

const KINDS = ['closed', 'dropped', 'aborted', 'timedOut'] as const;
const FEW = 4000;

const contenders: readonly Contender[] = KINDS.flatMap((kind) =>
  [FEW, 4 * FEW].map((n): Contender => ({
    name: `${kind}, ${n}`,
    module: 'trouble/ours',
    role: 'ours',
    params: { kind, n },
  })),
);

export const troubleCases: readonly Case[] = [
  {
    id: 'l',
    group: 'l',
    title: 'cost of trouble: queued batches that are closed, dropped, aborted, timed out',
    unit: 'ns/batch',
    value: 'cpu',
    rounds: 3,
    params: {},
    warmup: {},
    contenders,
    // Four times as many take at most six times as long: 1.5 times as long each.
    goals: KINDS.map((kind): Goal => ({
      contender: `${kind}, ${4 * FEW}`,
      over: `${kind}, ${FEW}`,
      kind: 'ratio',
      atMost: 1.5,
    })),
    fairness: 'Batches of one item. Each kind against itself with a quarter of the batches: the cost must be linear.',
  },
  {
    id: 'l-loop',
    group: 'l',
    title: 'longest time for which the event loop stands still in trouble',
    unit: 'ms',
    value: 'blocked',
    rounds: 3,
    params: {},
    warmup: {},
    contenders: contenders.filter(({ name }) => name.endsWith(String(4 * FEW))),
    goals: KINDS.map((kind): Goal => ({ contender: `${kind}, ${4 * FEW}`, kind: 'absolute', atMost: 50 })),
    fairness:
      'What is added or aborted one by one is so 100 a turn: the loop of a caller who does more is the caller’s.',
  },
  {
    id: 'l-memory',
    group: 'l',
    title: 'heap after a million failing attempts of one batch',
    unit: 'bytes',
    value: 'bytes',
    rounds: 1,
    params: { kind: 'failing', n: 1_000_000 },
    warmup: { n: 100_000 },
    contenders: [{ name: 'BatchPlease', module: 'trouble/ours', role: 'ours' }],
    goals: [{ contender: 'BatchPlease', kind: 'absolute', atMost: 200_000 }],
    fairness: 'After a garbage collection, against the heap before.',
  },
];
