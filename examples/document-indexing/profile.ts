// npm run profile:indexing -- [chunks] [--memory]: indexes generated documents as `npm start` would, and says where the
// time went; or, without the profiler, which takes memory itself, how much memory it took.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { count, print } from './printable.js';
import type { Job } from './protocol.js';

const SECTIONS = 100;
const WORDS_IN_SECTION = 120;
const VOCABULARY = 20_000;
/** Of the library's own code in the CPU time of the whole process. */
const ALLOWED_PERCENT = 5;

/** Words as unevenly spread as those of a language, the same in every run. */
function* words(): Generator<string, never> {
  let seed = 1;
  for (;;) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    const rank = Math.floor(VOCABULARY ** (seed / 0x7fffffff));
    yield `w${Math.imul(rank, 2_654_435_761 | 0)
      .toString(36)
      .replace('-', 'x')}`;
  }
}

async function writeDocuments(folder: string, chunks: number): Promise<void> {
  const word = words();
  for (let file = 0; file * SECTIONS < chunks; file += 1) {
    const sections = Array.from({ length: Math.min(SECTIONS, chunks - file * SECTIONS) }, (_, i) => {
      const text = Array.from({ length: WORDS_IN_SECTION }, () => word.next().value).join(' ');
      return `# Section ${i} of file ${file}\n\n${text}\n`;
    });
    await mkdir(join(folder, `${file % 20}`), { recursive: true });
    await writeFile(join(folder, `${file % 20}`, `${file}.md`), sections.join('\n'));
  }
}

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string } }[];
  samples: number[];
  timeDeltas: number[];
}

const OWN = [new URL('../../src/', import.meta.url).href, new URL('../../collectors/', import.meta.url).href];

function kindOf({ functionName, url }: Profile['nodes'][number]['callFrame']): string {
  if (functionName === '(idle)' || functionName === '(program)' || functionName === '(root)') return functionName;
  if (OWN.some((folder) => url.startsWith(folder))) return 'library';
  if (functionName === '(garbage collector)') return functionName;
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (found !== undefined) return found;
  if (url.startsWith('file:')) return 'example';
  return url.startsWith('node:') ? 'node' : 'engine';
}

/** Milliseconds by the package that the code on top of the stack is of, idle time left out. */
async function timesIn(folder: string): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (const name of await readdir(folder)) {
    const profile = JSON.parse(await readFile(join(folder, name), 'utf8')) as Profile;
    const kinds = new Map(profile.nodes.map(({ id, callFrame }) => [id, kindOf(callFrame)]));
    for (const [i, sample] of profile.samples.entries()) {
      const kind = kinds.get(sample) ?? '(root)';
      if (kind === '(idle)' || kind === '(root)') continue;
      times.set(kind, (times.get(kind) ?? 0) + (profile.timeDeltas[i] ?? 0) / 1000);
    }
  }
  return times;
}

/** Of a process on Linux: milliseconds of CPU time of all its threads, and megabytes of memory. */
async function usageOf(pid: number): Promise<{ cpu: number; memory: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Ticks of 10 ms and pages of 4 KiB, as nearly everywhere.
  return { cpu: (Number(fields[11]) + Number(fields[12])) * 10, memory: Number(fields[21]) / 256 };
}

async function main(chunks: number, profiled: boolean): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'profile-indexing-'));
  const documents = join(folder, 'documents');
  const profiles = join(folder, 'profiles');
  try {
    await writeDocuments(documents, chunks);
    const program = fileURLToPath(new URL('main.ts', import.meta.url));
    const child = spawn(
      process.execPath,
      [
        ...(profiled ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []),
        '--import',
        'tsx',
        program,
        documents,
        '--data',
        join(folder, 'data'),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, EMBEDDINGS_URL: '' } },
    );
    const ended = once(child, 'exit');
    const address = await new Promise<string>((resolve, reject) => {
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const found = /Open (http:\S+)/.exec(output)?.[1];
        if (found !== undefined) resolve(found);
      });
      child.once('exit', () => reject(new Error('the server did not start')));
    });
    const pid = child.pid ?? 0; // it runs
    const started = performance.now();
    const memory: number[] = [];
    let job: Job | undefined;
    while (job?.state !== 'done') {
      [job] = (await (await fetch(`${address}/api/jobs`)).json()) as Job[];
      memory.push((await usageOf(pid)).memory);
      await sleep(1_000);
    }
    const seconds = (performance.now() - started) / 1000;
    const { cpu } = await usageOf(pid);
    child.kill('SIGINT');
    await ended;
    print([
      `${count(job.chunks.stored)} chunks stored in ${seconds.toFixed(1)} s, ${count(job.chunks.stored / seconds)}/s`,
      `memory, at most, by tenths of that time: ${tenths(memory).map(count).join(', ')} MB`,
    ]);
    return profiled ? report(cpu, await timesIn(profiles)) : 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function tenths(memory: number[]): number[] {
  const from = (n: number): number => Math.floor((memory.length * n) / 10);
  return Array.from({ length: 10 }, (_, n) => Math.max(...memory.slice(from(n), Math.max(from(n) + 1, from(n + 1)))));
}

function report(cpu: number, times: Map<string, number>): number {
  const seen = [...times.values()].reduce((sum, time) => sum + time, 0);
  const own = times.get('library') ?? 0;
  const share = (100 * own) / cpu;
  const lines = [...times]
    .sort((a, b) => b[1] - a[1])
    .map(([kind, time]) => `  ${count(time).padStart(8)} ms  ${kind}`);
  print([
    `CPU time of the process: ${count(cpu)} ms; in the profiles of its threads: ${count(seen)} ms`,
    ...lines,
    `the library's own code: ${share.toFixed(2)} % of the CPU time (allowed: ${ALLOWED_PERCENT} %), ${((100 * own) / seen).toFixed(2)} % of the profiles`,
  ]);
  return share < ALLOWED_PERCENT ? 0 : 1;
}

process.exitCode = await main(Number(process.argv[2] ?? 20_000), !process.argv.includes('--memory'));
