// npm run bench -- i: the size of each entry point, and how long it takes to import.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { median, summarize, type Summary } from './stats.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

interface Budget {
  /** In kB of 1000 bytes, minified and gzipped, with dependencies. */
  readonly budget: number;
  readonly goal?: number;
}

export interface Size {
  readonly entry: string;
  /** In kB of 1000 bytes, minified and gzipped, with dependencies. */
  readonly size: number;
  readonly minified: number;
  readonly budget: number;
  readonly goal?: number;
}

/** What each name in budgets.json stands for. */
const SOURCES: Readonly<Record<string, string>> = {
  'batch-please': `export * from './dist/esm/src/index.js'`,
  'batch-please, BatchPlease alone': `export { BatchPlease } from './dist/esm/src/index.js'`,
  'batch-please, BatchServing alone': `export { BatchServing } from './dist/esm/src/index.js'`,
  'batch-please, BatchServer alone': `export { BatchServer } from './dist/esm/src/index.js'`,
  'batch-please/collectors': `export * from './dist/esm/collectors/index.js'`,
  'batch-please/collectors/memory': `export * from './dist/esm/collectors/memory-batcher.js'`,
  'batch-please/collectors/file': `export * from './dist/esm/collectors/file-batcher.js'`,
  'batch-please/collectors/keyed': `export * from './dist/esm/collectors/keyed-batcher.js'`,
  'batch-please/distributed': `export * from './dist/esm/distributed/index.js'`,
  'batch-please/streams': `export * from './dist/esm/src/streams/index.js'`,
  'batch-please/opentelemetry': `export * from './dist/esm/src/opentelemetry/index.js'`,
  'batch-please/testing': `export * from './dist/esm/src/testing.js'`,
};

export async function sizes(): Promise<Size[]> {
  const budgets = JSON.parse(readFileSync(here('budgets.json'), 'utf8')) as Record<string, Budget>;
  const measured: Size[] = [];
  for (const [entry, source] of Object.entries(SOURCES)) {
    const whole = await bundle(source);
    const limit = budgets[entry];
    if (limit === undefined) throw new Error(`budgets.json has no budget for ${entry}`);
    measured.push({
      entry,
      size: kilobytes(gzipSync(whole, { level: 9 }).length),
      minified: kilobytes(whole.length),
      ...limit,
    });
  }
  return measured;
}

async function bundle(source: string): Promise<Buffer> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: here('..') },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    // Of the application's choice, and loaded only with worker threads; the peer of the OpenTelemetry entry.
    external: ['node:*', 'piscina', '@opentelemetry/api'],
    logLevel: 'error',
  });
  return Buffer.from(outputFiles[0]?.contents ?? []);
}

function kilobytes(bytes: number): number {
  return Math.round(bytes / 10) / 100;
}

export interface ImportTime {
  readonly entry: string;
  /** Milliseconds. */
  readonly time: Summary;
  readonly overEmpty: number;
}

/** In processes of their own, in turn, as `node` finds the files in its cache. */
export function importTimes(runs: number): ImportTime[] {
  const directory = mkdtempSync(join(tmpdir(), 'bench-import-'));
  try {
    const empty = join(directory, 'empty.mjs');
    writeFileSync(empty, 'export {};\n');
    const entries = [
      { entry: 'an empty module', path: empty },
      { entry: 'batch-please', path: here('../dist/esm/src/index.js') },
      { entry: 'batch-please/collectors', path: here('../dist/esm/collectors/index.js') },
      { entry: 'batch-please/collectors/memory', path: here('../dist/esm/collectors/memory-batcher.js') },
      { entry: 'batch-please/collectors/file', path: here('../dist/esm/collectors/file-batcher.js') },
      { entry: 'batch-please/collectors/keyed', path: here('../dist/esm/collectors/keyed-batcher.js') },
      { entry: 'batch-please/distributed', path: here('../dist/esm/distributed/index.js') },
      { entry: 'batch-please/streams', path: here('../dist/esm/src/streams/index.js') },
      { entry: 'batch-please/opentelemetry', path: here('../dist/esm/src/opentelemetry/index.js') },
      { entry: 'batch-please/testing', path: here('../dist/esm/src/testing.js') },
      { entry: 'batch-please (require)', path: here('../dist/cjs/src/index.js') },
    ].map((one) => ({ ...one, times: [] as number[] }));
    for (let run = 0; run < runs; run++) {
      for (const { path, times } of entries) {
        const code = `const t = performance.now(); await import(${JSON.stringify(pathToFileURL(path).href)}); console.log(performance.now() - t);`;
        times.push(Number(execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })));
      }
    }
    const base = median(entries[0]?.times ?? []);
    return entries.map(({ entry, times }) => ({ entry, time: summarize(times), overEmpty: median(times) - base }));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
