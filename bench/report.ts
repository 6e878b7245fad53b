import type { Case, Outcome } from './contract.js';
import type { Machine } from './machine.js';
import { summarize, type Summary } from './stats.js';
import { ratios, values, verdicts, type Verdict } from './verdict.js';

export interface Row {
  readonly name: string;
  readonly role: string;
  readonly value?: Summary;
  readonly wall?: Summary;
  readonly cpu?: Summary;
  readonly toFloor?: Summary;
  readonly maxRSS?: number;
  readonly metrics?: Readonly<Record<string, Summary>>;
  readonly note?: string;
  readonly error?: string;
}

export interface CaseReport {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly value: string;
  readonly moreIsBetter: boolean;
  readonly fairness: string;
  readonly rows: readonly Row[];
  readonly references: readonly { readonly name: string; readonly figure: number }[];
  readonly verdicts: readonly Verdict[];
  readonly measuredAt: string;
  readonly machine: Machine;
}

export function reportOf(job: Case, outcomes: readonly Outcome[], machine: Machine): CaseReport {
  const floor = outcomes.find(({ contender, error }) => contender.role === 'floor' && error === undefined);
  return {
    id: job.id,
    title: job.title,
    unit: job.unit,
    value: job.value,
    moreIsBetter: job.moreIsBetter === true,
    fairness: job.fairness,
    rows: outcomes.map((outcome) => rowOf(job, outcome, floor)),
    references: job.references ?? [],
    verdicts: verdicts(job, outcomes),
    measuredAt: new Date().toISOString(),
    machine,
  };
}

function rowOf(job: Case, outcome: Outcome, floor: Outcome | undefined): Row {
  const { contender, error, rounds, maxRSS } = outcome;
  const base = {
    name: contender.name,
    role: contender.role,
    ...(contender.note !== undefined && { note: contender.note }),
  };
  if (error !== undefined || rounds.length === 0) return { ...base, error: error ?? 'not run' };
  const metric = (name: string) => summarize(rounds.map((sample) => sample[name] ?? NaN));
  const own = Object.keys(rounds[0] ?? {}).filter((name) => !['wall', 'cpu', 'count'].includes(name));
  return {
    ...base,
    value: summarize(values(job, outcome)),
    wall: metric('wall'),
    cpu: metric('cpu'),
    metrics: Object.fromEntries(own.map((name) => [name, metric(name)])),
    ...(floor !== undefined && { toFloor: summarize(ratios(job, outcome, floor)) }),
    maxRSS,
  };
}

export function figure(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return '–';
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  if (size >= 100) return value.toFixed(0);
  return value.toFixed(size >= 10 ? 1 : 2);
}

export function markdownOf(report: CaseReport): string {
  const lines = [
    `### ${report.id}: ${report.title}`,
    '',
    `${report.unit}, ${report.moreIsBetter ? 'more' : 'less'} is better${report.value === 'cpu' ? ' (processor time of all threads)' : ''}; median of the rounds (minimum–maximum). “To the floor” is a ratio of costs: less is better.`,
    '',
    '| contender | median | min–max | to the floor | min–max | |',
    '| --- | ---: | ---: | ---: | ---: | --- |',
  ];
  for (const row of report.rows) {
    const name = row.role === 'ours' ? `**${row.name}**` : row.name;
    if (row.value === undefined) {
      lines.push(`| ${name} | ⚠ | | | | ${row.error ?? ''} |`);
      continue;
    }
    lines.push(
      `| ${name} | ${figure(row.value.median)} | ${range(row.value)} | ${row.toFloor === undefined ? '' : figure(row.toFloor.median)} | ${row.toFloor === undefined ? '' : range(row.toFloor)} | ${notes(row)} |`,
    );
  }
  for (const { name, figure: cited } of report.references)
    lines.push(`| ${name} | ${figure(cited)} | | | | cited, not measured here |`);
  lines.push('', report.fairness, '');
  for (const verdict of report.verdicts) lines.push(`- ${verdictText(verdict)}`);
  return lines.join('\n') + '\n';
}

export function verdictText({ text, reached, met, goal }: Verdict): string {
  return `${met ? '✓' : '✗ **missed**'} ${text.replace(/^\S+: /, '')}: ${figure(reached)}, goal at most ${figure(goal.atMost)}`;
}

function notes(row: Row): string {
  const metrics = Object.entries(row.metrics ?? {})
    .filter(([name]) => !['batches'].includes(name))
    .map(([name, { median }]) => `${name} ${figure(median)}`);
  return [row.note, ...metrics].filter((text) => text !== undefined).join('; ');
}

function range({ min, max }: Summary): string {
  return `${figure(min)}–${figure(max)}`;
}

/** Every contender that could not be measured, to be said at the end, where it is read. */
export function troubles(reports: readonly CaseReport[]): string[] {
  return reports.flatMap(({ id, rows }) =>
    rows.flatMap((row) => (row.error === undefined ? [] : [`${id}: ${row.name}: ${row.error}`])),
  );
}
