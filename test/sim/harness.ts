import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import vm from 'node:vm';

/** How one run ended: sound if there are no violations. */
export interface Outcome {
  readonly violations: readonly string[];
  /** Numbers that are added up over all runs and printed at the end. */
  readonly counts?: Readonly<Record<string, number>>;
}

export interface RunOptions {
  /** Receives what happens in the run, line by line; left out, nothing is formatted. */
  readonly trace?: ((line: string) => void) | undefined;
  /** Features that the run leaves out. */
  readonly without: ReadonlySet<string>;
}

/** A simulator: everything in a run is decided by its seed and by the features that are left out. */
export interface Proof {
  /** What replays a seed when `--seed N` is appended. */
  readonly command: string;
  /** Runs by default. */
  readonly runs: number;
  /** What `--without` may name. */
  readonly features?: readonly string[];
  run(seed: number, options: RunOptions): Promise<Outcome>;
}

export interface SweepOptions {
  readonly from?: number;
  readonly runs: number;
  readonly without?: readonly string[];
}

/** Inside jest `process` is a copy that receives no events. */
const realProcess = vm.runInThisContext('process') as NodeJS.Process;

/** More than these say nothing new about one run. */
const MOST_VIOLATIONS = 20;

/** Unhandled rejections and uncaught exceptions of the run that is under way. */
let stray: string[] | undefined;
let watched = false;

export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * From now on a failure that is not handled belongs to the run that is under way. Only records: a handler that printed
 * could fail the way it reports, for ever. Warnings are silenced, because hooks fail on purpose.
 */
export function watchStrayFailures(): () => void {
  const note = (kind: string, error: unknown): void => {
    if (stray !== undefined && stray.length < MOST_VIOLATIONS) stray.push(`A4: ${kind}: ${describeError(error)}`);
  };
  const onRejection = (error: unknown): void => {
    note('unhandled rejection', error);
  };
  const onException = (error: unknown): void => {
    note('uncaught exception', error);
  };
  const { emitWarning } = process;
  watched = true;
  realProcess.on('unhandledRejection', onRejection);
  realProcess.on('uncaughtException', onException);
  process.emitWarning = () => undefined;
  return () => {
    realProcess.off('unhandledRejection', onRejection);
    realProcess.off('uncaughtException', onException);
    process.emitWarning = emitWarning;
    watched = false;
  };
}

/** One run, with the failures that were not handled among its violations. `watchStrayFailures` has to be in force. */
export async function runSeed(proof: Proof, seed: number, options: Partial<RunOptions> = {}): Promise<Outcome> {
  if (!watched) throw new Error('nothing is watched: call watchStrayFailures before a run');
  const own: string[] = (stray = []);
  try {
    const { violations, counts } = await proof.run(seed, {
      trace: options.trace,
      without: options.without ?? new Set(),
    });
    return { violations: [...violations, ...own].slice(0, MOST_VIOLATIONS), ...(counts && { counts }) };
  } catch (error) {
    return { violations: [...own, `thrown: ${describeError(error)}`] };
  } finally {
    stray = undefined;
  }
}

/** The line that replays a seed. */
export function replayLine(proof: Proof, seed: number, without: Iterable<string> = []): string {
  const left = [...without];
  return `${proof.command} ${left.length > 0 ? `--without ${left.join(',')} ` : ''}--seed ${seed}`;
}

/** For tests: runs consecutive seeds and throws at the first that is not sound. Returns the sums of the counts. */
export async function sweep(proof: Proof, options: SweepOptions): Promise<Record<string, number>> {
  const { from = 1, runs, without = [] } = options;
  const left = new Set(without);
  const sums: Record<string, number> = {};
  for (let seed = from; seed < from + runs; seed++) {
    const { violations, counts } = await runSeed(proof, seed, { without: left });
    if (violations.length > 0) throw new Error(`${violations.join('\n')}\nreplay: ${replayLine(proof, seed, left)}`);
    add(sums, counts);
  }
  return sums;
}

interface Total {
  runs: number;
  failures: number;
  counts: Record<string, number>;
}

/**
 * The command: `--runs`, `--from`, `--seconds`, `--failures` and `--workers` search for seeds that are not sound,
 * `--seed N` replays one and prints all of it, `--without a,b` leaves features out.
 */
export async function main(proof: Proof): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: String(proof.runs) },
      from: { type: 'string', default: '1' },
      seconds: { type: 'string', default: 'Infinity' },
      failures: { type: 'string', default: '5' },
      workers: { type: 'string', default: '2' },
      without: { type: 'string', default: '' },
      seed: { type: 'string' },
      part: { type: 'string' },
    },
  });
  const without = parseWithout(proof, values.without);
  // A reader that has seen enough (`| head`) closes the pipe; there is no reader left.
  process.stdout.on('error', () => process.exit());
  watchStrayFailures();
  if (values.seed !== undefined) {
    const seed = Number(values.seed);
    const { violations } = await runSeed(proof, seed, { trace: say, without });
    say(violations.length === 0 ? `seed ${seed}: sound` : `seed ${seed}:\n  ${violations.join('\n  ')}`);
    process.exitCode = violations.length === 0 ? 0 : 1;
    return;
  }
  const { runs, from, seconds: most, failures } = values;
  const limits = { runs: Number(runs), from: Number(from), seconds: Number(most), failures: Number(failures) };
  const all = { ...limits, without };
  if (values.part !== undefined) {
    const [part = 0, parts = 1] = values.part.split('/').map(Number);
    process.send?.(await search(proof, { ...all, part, parts }));
    process.disconnect();
    return;
  }
  const start = performance.now();
  const parts = Math.min(Number(values.workers), availableParallelism());
  const total = parts > 1 ? await searchInParts(parts) : await search(proof, { ...all, part: 0, parts: 1 });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const counts = Object.entries(total.counts).map(([name, count]) => `${count} ${name}, `);
  say(`${total.runs} runs from seed ${values.from} on, ${counts.join('')}${total.failures} failed, in ${seconds} s`);
  process.exitCode = total.failures === 0 ? 0 : 1;
}

interface Search {
  runs: number;
  from: number;
  seconds: number;
  failures: number;
  without: ReadonlySet<string>;
  part: number;
  parts: number;
}

async function search(proof: Proof, options: Search): Promise<Total> {
  const { runs, from, seconds, failures, without, part, parts } = options;
  const total: Total = { runs: 0, failures: 0, counts: {} };
  const end = performance.now() + seconds * 1000;
  for (let seed = from + part; seed < from + runs && performance.now() < end; seed += parts) {
    const { violations, counts } = await runSeed(proof, seed, { without });
    total.runs++;
    add(total.counts, counts);
    if (violations.length === 0) continue;
    say(`seed ${seed}: ${violations[0] ?? ''}\n  ${replayLine(proof, seed, without)}`);
    if (++total.failures >= failures) break;
  }
  return total;
}

/** Runs this command once per part, in processes of their own; one that ends without an answer has failed. */
async function searchInParts(parts: number): Promise<Total> {
  const total: Total = { runs: 0, failures: 0, counts: {} };
  const one = (part: number): Promise<void> =>
    new Promise((resolve) => {
      const child = fork(process.argv[1] ?? '', [...process.argv.slice(2), '--part', `${part}/${parts}`]);
      let answered = false;
      child.on('message', (message) => {
        answered = true;
        const { runs, failures, counts } = message as Total;
        total.runs += runs;
        total.failures += failures;
        add(total.counts, counts);
      });
      child.on('exit', () => {
        if (!answered) total.failures++;
        resolve();
      });
    });
  await Promise.all(Array.from({ length: parts }, (_, part) => one(part)));
  return total;
}

function parseWithout(proof: Proof, text: string): Set<string> {
  const names = text.split(',').filter((name) => name !== '');
  const known = proof.features ?? [];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`--without ${unknown}: expected one of ${known.join(', ')}`);
  return new Set(names);
}

function add(sums: Record<string, number>, counts: Readonly<Record<string, number>> | undefined): void {
  for (const [name, count] of Object.entries(counts ?? {})) sums[name] = (sums[name] ?? 0) + count;
}

/** Unlike `console.log` leaves a failed write to the `error` event of the stream. */
function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
