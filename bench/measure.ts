import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Case, Contender, Outcome, Params, Sample } from './contract.js';
import { median } from './stats.js';

const CHILD = fileURLToPath(new URL('lib/child.js', import.meta.url));
/** Milliseconds for one process; beyond it a contender is reported as hanging. */
const PATIENCE = 180_000;

export interface Effort {
  readonly rounds: number;
  /** Measurements in one process. */
  readonly repeats: number;
  readonly warmups: number;
}

interface Report {
  readonly samples?: readonly Sample[];
  readonly maxRSS?: number;
  readonly error?: string;
}

/** One process for one contender. */
export async function measureOnce(job: Case, contender: Contender, effort: Effort, params: Params): Promise<Report> {
  const order = JSON.stringify({
    module: contender.module,
    params: { ...job.params, ...contender.params, ...params },
    warmup: job.warmup,
    warmups: effort.warmups,
    repeats: effort.repeats,
  });
  const child = spawn(process.execPath, ['--expose-gc', '--max-old-space-size=8192', CHILD, order], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE,
    // A contender that hangs may not heed anything gentler.
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('close', (...how) => resolve(how)),
  );
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (line.startsWith('{')) return JSON.parse(line) as Report;
  const missing = /Cannot find (?:package|module) '([^']+)'/.exec(stderr);
  if (missing !== null) return { error: `missing: ${missing[1] ?? ''} is not installed` };
  return { error: `ended with ${signal ?? code ?? 'nothing'}: ${stderr.trim().split('\n').slice(-8).join(' | ')}` };
}

/** All contenders of a case, round after round, each round starting with another one. */
export async function measureCase(
  job: Case,
  contenders: readonly Contender[],
  effort: Effort,
  params: Params = {},
  progress: (text: string) => void = () => {},
): Promise<Outcome[]> {
  const outcomes = contenders.map((contender) => ({
    contender,
    rounds: [] as Sample[],
    maxRSS: 0,
    error: undefined as string | undefined,
  }));
  for (let round = 0; round < effort.rounds; round++) {
    for (let i = 0; i < outcomes.length; i++) {
      const outcome = outcomes[(i + round) % outcomes.length];
      if (outcome === undefined || outcome.error !== undefined) continue;
      const report = await measureOnce(job, outcome.contender, effort, params);
      outcome.error = report.error;
      outcome.maxRSS = Math.max(outcome.maxRSS, report.maxRSS ?? 0);
      if (report.samples !== undefined) outcome.rounds.push(medianSample(report.samples));
      progress(`${job.id} round ${round + 1}: ${outcome.contender.name} ${report.error ?? ''}`);
    }
  }
  return outcomes;
}

/** Each metric by itself. */
function medianSample(samples: readonly Sample[]): Sample {
  const [first] = samples;
  if (first === undefined) throw new Error('a contender measured nothing');
  const entries = Object.entries(first).filter(([, value]) => typeof value === 'number');
  return Object.fromEntries(
    entries.map(([name]) => [name, median(samples.map((sample) => sample[name] ?? NaN))]),
  ) as unknown as Sample;
}
