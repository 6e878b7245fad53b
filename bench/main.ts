// npm run bench                 everything
// npm run bench -- a c2         some cases
// npm run bench -- --rounds 1 --scale 0.1 a     to see it work
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { CASES } from './cases.js';
import { machine } from './machine.js';
import { measureCase } from './measure.js';
import { markdownOf, reportOf, troubles, type CaseReport } from './report.js';

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

// The cases that were not run keep their last results.
mkdirSync(here('results'), { recursive: true });
const before = existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as { cases: CaseReport[] }).cases : [];
const known = new Map([...before, ...reports].map((report) => [report.id, report]));
const cases = CASES.flatMap(({ id }) => known.get(id) ?? []);
if (scale === 1 && values.only === '') writeFileSync(RESULTS, JSON.stringify({ cases }, undefined, 2) + '\n');

const missing = troubles(reports);
for (const text of missing) console.error(`NOT MEASURED  ${text}`);
if (missing.length > 0) process.exitCode = 1;
