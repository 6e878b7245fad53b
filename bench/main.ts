// npm run bench                 everything
// npm run bench -- a c2         some cases
// npm run bench -- --rounds 1 --scale 0.1 a     to see it work
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { CASES } from './cases.js';
import { machine } from './machine.js';
import { type Curve, growth, growthCurves } from './growth.js';
import { type ImportTime, type Size, importTimes, sizes } from './footprint.js';
import { measureCase } from './measure.js';
import { figure, markdownOf, reportOf, troubles, type CaseReport } from './report.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    /** Of the number of items. */
    scale: { type: 'string', default: '1' },
    /** Only those whose name contains it. */
    only: { type: 'string', default: '' },
  },
});
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const RESULTS = here('results/latest.json');

if (!existsSync(here('node_modules'))) {
  console.log('Installing the peers (bench/package-lock.json) …');
  execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here('.'), stdio: 'inherit' });
}

const chosen = CASES.filter(
  ({ id, group }) => positionals.length === 0 || positionals.includes(id) || positionals.includes(group),
);
const scale = Number(values.scale);
const reports: CaseReport[] = [];
for (const job of chosen) {
  const contenders = job.contenders.filter(({ name }) => name.includes(values.only));
  const started = machine();
  const scaled = {
    ...job,
    params: scaledParams(job.params),
    contenders: contenders.map((one) =>
      one.params === undefined ? one : { ...one, params: scaledParams(one.params) },
    ),
  };
  const effort = { rounds: Math.min(Number(values.rounds), job.rounds ?? Infinity), repeats: 3, warmups: 3 };
  const outcomes = await measureCase(scaled, scaled.contenders, effort, {}, (text) =>
    process.stderr.write(`${text}\n`),
  );
  const report = reportOf(scaled, outcomes, started);
  reports.push(report);
  console.log(markdownOf(report));
}
/** Batches stay whole; what is measured one by one is few enough as it is. */
function scaledParams<P extends Readonly<Record<string, unknown>>>(params: P): P {
  const n = params['n'];
  return typeof n === 'number' && n >= 10_000 ? { ...params, n: Math.ceil((n * scale) / 10_000) * 10_000 } : params;
}

interface Results {
  readonly cases: readonly CaseReport[];
  readonly curves?: readonly Curve[];
  readonly footprint?: { readonly sizes: readonly Size[]; readonly imports: readonly ImportTime[] };
}

const whole = scale === 1 && values.only === '';
const wants = (group: string) => positionals.length === 0 || positionals.includes(group);
const rounds = Number(values.rounds);
const curves = wants('h')
  ? await growthCurves(Math.min(rounds, 2), (text) => process.stderr.write(`${text}\n`))
  : undefined;
const footprint = wants('i') ? { sizes: await sizes(), imports: importTimes(rounds * 5) } : undefined;

// The cases that were not run keep their last results.
mkdirSync(here('results'), { recursive: true });
const before: Results = existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as Results) : { cases: [] };
const known = new Map([...before.cases, ...reports].map((report) => [report.id, report]));
const results: Results = {
  cases: CASES.flatMap(({ id }) => known.get(id) ?? []),
  curves: curves ?? before.curves ?? [],
  footprint: footprint ?? before.footprint ?? { sizes: [], imports: [] },
};
const text = markdownOfAll(results);
if (whole) {
  writeFileSync(RESULTS, JSON.stringify(results, undefined, 2) + '\n');
  await draw(results);
  intoReadme(here('../README.md'), 'bench', summaryOf(results.cases));
  intoReadme(here('README.md'), 'results', text);
}
if (curves !== undefined) console.log(curvesText(curves));
if (footprint !== undefined) console.log(footprintText(footprint));

const missing = [
  ...troubles(reports),
  ...(curves ?? []).flatMap(({ id, errors }) => errors.map((error) => `${id}: ${error}`)),
];
for (const text of missing) console.error(`NOT MEASURED  ${text}`);
if (missing.length > 0) process.exitCode = 1;

/** Between its markers, if it has them. */
function intoReadme(path: string, marker: string, text: string): void {
  const readme = readFileSync(path, 'utf8');
  const section = new RegExp(`(<!-- ${marker} -->\\n)[^]*(<!-- /${marker} -->)`);
  writeFileSync(
    path,
    readme.replace(section, (_, start: string, end: string) => `${start}\n${text}\n${end}`),
  );
}

/** For the project's README: what matters most, in one table. */
function summaryOf(cases: readonly CaseReport[]): string {
  const lines = ['| | by hand | batch-please | best peer |', '| --- | ---: | ---: | --- |'];
  for (const id of ['a', 'b', 'c', 'c2', 'd', 'd2', 'e']) {
    const report = cases.find((one) => one.id === id);
    if (report === undefined) continue;
    const of = (role: string) => report.rows.filter((row) => row.role === role && row.value !== undefined);
    const sign = report.moreIsBetter ? -1 : 1;
    const best = of('peer').sort((x, y) => sign * ((x.value?.median ?? 0) - (y.value?.median ?? 0)))[0];
    const cell = (row: CaseReport['rows'][number] | undefined) =>
      row?.value === undefined ? '' : figure(row.value.median);
    lines.push(
      `| ${report.title} (${report.unit}) | ${cell(of('floor')[0])} | ${cell(of('ours')[0])} | ${cell(best)} (${best?.name ?? ''}) |`,
    );
  }
  return lines.join('\n') + '\n\n![addItem, batches of 1000](bench/results/a.svg)\n';
}

function markdownOfAll({ cases, curves = [], footprint }: Results): string {
  const [first] = cases;
  const { cpu, cores, memory, system, node } = first?.machine ?? machine();
  return [
    `${cpu}, ${cores} cores, ${Math.round(memory / 2 ** 30)} GiB, ${system}, Node ${node}; load of the last minute when the cases began: ${cases.map(({ id, machine: { load } }) => `${id} ${load}`).join(', ')}.\n`,
    ...cases.map((report) => markdownOf(report) + `\n![${report.title}](results/${report.id}.svg)\n`),
    curvesText(curves),
    footprint === undefined ? '' : footprintText(footprint),
  ].join('\n');
}

function curvesText(curves: readonly Curve[]): string {
  const lines = ['### h: growth', ''];
  for (const curve of curves) {
    lines.push(`**${curve.title}** (${curve.unit})`, '');
    const xs = [...new Set(curve.points.map(({ x }) => x))];
    lines.push(`| ${curve.axis} | ${xs.map((x) => x.toLocaleString('en-US')).join(' | ')} | dearest / cheapest |`);
    lines.push(`| --- |${' ---: |'.repeat(xs.length + 1)}`);
    for (const name of new Set(curve.points.map((point) => point.name))) {
      const cells = xs.map(
        (x) => curve.points.find((point) => point.name === name && point.x === x)?.value.median ?? NaN,
      );
      lines.push(`| ${name} | ${cells.map(figure).join(' | ')} | ${figure(growth(curve, name))} |`);
    }
    if (curve.goal !== undefined) lines.push('', `Goal: dearest / cheapest at most ${curve.goal}.`);
    lines.push('', `![${curve.title}](results/${curve.id}.svg)`, '');
  }
  return lines.join('\n');
}

function footprintText({ sizes, imports }: { sizes: readonly Size[]; imports: readonly ImportTime[] }): string {
  return [
    '### i: footprint',
    '',
    '| bundle | kB minified and gzipped | minified | budget |',
    '| --- | ---: | ---: | ---: |',
    ...sizes.map(
      ({ entry, size, minified, budget, goal }) =>
        `| ${entry} | ${size} | ${minified} | ${budget}${goal === undefined ? '' : ` (goal ${goal})`} |`,
    ),
    '',
    '| import | ms, median | min–max | more than an empty module |',
    '| --- | ---: | ---: | ---: |',
    ...imports.map(
      ({ entry, time, overEmpty }) =>
        `| ${entry} | ${figure(time.median)} | ${figure(time.min)}–${figure(time.max)} | ${figure(overEmpty)} |`,
    ),
    '',
    'Goal: `batch-please` at most 25 ms more than an empty module, every other entry at most 40.',
    '',
  ].join('\n');
}

/** The packages that draw are of bench/ alone, and the type check of the project has to do without. */
async function draw({ cases, curves = [] }: Results): Promise<void> {
  const { barsOf, curveOf } = (await import(new URL('plots.js', import.meta.url).href)) as {
    barsOf(report: CaseReport): string;
    curveOf(curve: Curve): string;
  };
  for (const report of cases) writeFileSync(here(`results/${report.id}.svg`), barsOf(report));
  for (const curve of curves) writeFileSync(here(`results/${curve.id}.svg`), curveOf(curve));
}
