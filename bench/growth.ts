// npm run bench -- h: what an item costs as the work grows.
import type { Case, Contender, Params } from './contract.js';
import { measureOnce } from './measure.js';
import { summarize, type Summary } from './stats.js';

export interface Curve {
  readonly id: string;
  readonly title: string;
  readonly axis: string;
  readonly unit: string;
  /** Dearest over cheapest point of ours, at most; none where it is no goal. */
  readonly goal?: number;
  readonly points: readonly { readonly name: string; readonly x: number; readonly value: Summary }[];
  readonly errors: readonly string[];
}

interface Plan {
  readonly id: string;
  readonly title: string;
  readonly axis: string;
  readonly unit: string;
  readonly value: string;
  readonly goal?: number;
  readonly contenders: readonly Contender[];
  readonly xs: readonly number[];
  readonly params: (x: number) => Params;
  readonly warmup: Params;
}

const ADDS: readonly Contender[] = [
  { name: 'floor', module: 'add/floor', role: 'floor' },
  { name: 'BatchPlease', module: 'add/ours', role: 'ours' },
];
const CALLS: readonly Contender[] = [
  { name: 'floor', module: 'dispatch/floor', role: 'floor' },
  { name: 'BatchServing', module: 'dispatch/ours', role: 'ours' },
];
const HEAP: readonly Contender[] = [
  { name: 'floor', module: 'heap/floor', role: 'floor' },
  { name: 'BatchPlease', module: 'heap/ours', role: 'ours' },
];
const decades = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
const NS = { unit: 'ns/item', value: 'cpu', warmup: { n: 1_000_000, batchSize: 1000 } } as const;

const PLANS: readonly Plan[] = [
  {
    ...NS,
    id: 'h-items',
    title: 'number of items, batches of 1000',
    axis: 'items',
    goal: 1.3,
    contenders: ADDS,
    xs: decades(3, 7),
    // Short runs are repeated within the measurement, as a clock tick would be more than all of them.
    params: (n) => ({ n, times: Math.max(1, 1_000_000 / n), batchSize: 1000, perTurn: 10_000, hook: 'sync' }),
  },
  {
    ...NS,
    id: 'h-batch',
    title: 'batch size, 3 million items',
    axis: 'items in a batch',
    goal: 1.3,
    contenders: ADDS,
    xs: decades(1, 5),
    params: (batchSize) => ({ n: 3_000_000, batchSize, perTurn: 100_000, hook: 'sync' }),
  },
  {
    ...NS,
    id: 'h-callers',
    title: 'callers at once, dispatch',
    axis: 'callers',
    contenders: CALLS,
    xs: decades(0, 5),
    params: (callers) => ({ n: callers < 10 ? 100_000 : 500_000, callers, batchSize: 1000 }),
    warmup: { n: 200_000, callers: 1000 },
  },
  {
    ...NS,
    id: 'h-partitions',
    title: 'partitions, dispatch by 1000 callers',
    axis: 'partitions',
    contenders: CALLS.slice(1),
    xs: [1, 2, 4, 8],
    params: (partitions) => ({ n: 500_000, callers: 1000, batchSize: 100, partitions }),
    warmup: { n: 200_000 },
  },
  {
    ...NS,
    id: 'h-pending',
    title: 'items pending behind a busy sink, time',
    axis: 'pending items',
    contenders: [{ name: 'BatchPlease', module: 'growth/pending', role: 'ours' }],
    xs: [1, ...decades(3, 7)],
    params: (pending) => ({ n: 1_000_000, pending, batchSize: 1000 }),
    warmup: { n: 1_000_000, pending: 1000 },
  },
  {
    ...NS,
    id: 'h-heap',
    title: 'heap per pending item',
    axis: 'pending items',
    unit: 'bytes/item',
    value: 'bytes',
    contenders: HEAP,
    xs: decades(3, 7),
    params: (n) => ({ n }),
    warmup: { n: 1000 },
  },
  {
    ...NS,
    id: 'h-keys',
    title: 'one collector per key: heap of a collector with one item',
    axis: 'keys',
    unit: 'bytes/key',
    value: 'bytes',
    contenders: [{ name: 'BatchPlease', module: 'growth/keys', role: 'ours' }],
    xs: decades(1, 5),
    params: (n) => ({ n }),
    warmup: { n: 1000 },
  },
];

export async function growthCurves(rounds: number, progress: (text: string) => void): Promise<Curve[]> {
  const curves: Curve[] = [];
  for (const plan of PLANS) {
    const job: Case = { ...plan, group: 'h', goals: [], fairness: '', params: {} };
    const errors: string[] = [];
    const measured = plan.xs.flatMap((x) =>
      plan.contenders.map((contender) => ({ x, contender, values: [] as number[] })),
    );
    for (let round = 0; round < rounds; round++) {
      // Up in one round, down in the next, so that a drift of the machine is not taken for growth.
      for (const { x, contender, values } of round % 2 === 0 ? measured : [...measured].reverse()) {
        const report = await measureOnce(job, contender, { rounds: 1, repeats: 3, warmups: 3 }, plan.params(x));
        if (report.samples === undefined) errors.push(`${contender.name} at ${x}: ${report.error ?? 'no result'}`);
        else values.push(summarize(report.samples.map((sample) => sample[plan.value] ?? NaN)).min);
      }
      progress(`${plan.id} round ${round + 1}`);
    }
    const { id, title, axis, unit, goal } = plan;
    const points = measured
      .filter(({ values }) => values.length > 0)
      .map(({ x, contender, values }) => ({ name: contender.name, x, value: summarize(values) }));
    curves.push({ id, title, axis, unit, ...(goal !== undefined && { goal }), points, errors });
  }
  return curves;
}

/** The dearest point over the cheapest one. */
export function growth(curve: Curve, name: string): number {
  const values = curve.points.filter((point) => point.name === name).map(({ value }) => value.median);
  return Math.max(...values) / Math.min(...values);
}
