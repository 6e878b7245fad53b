// The declarations under every compiler that people use, as strict as they go.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../support/project.js';
import { consumer, here, installTools, remove, tools } from './installed.js';

const manifest = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')) as {
  devDependencies: Record<string, string>;
};
const compilers = Object.keys(manifest.devDependencies).filter((name) => /^ts\d/.test(name));

let folder: string;
beforeAll(async () => {
  await installTools();
  folder = await consumer('@opentelemetry/api');
  for (const name of ['@types/node', 'undici-types']) {
    cpSync(join(tools, name), join(folder, 'node_modules', name), { recursive: true });
  }
  mkdirSync(join(folder, 'src'));
}, 300_000);
afterAll(() => {
  remove(folder);
});

const BROWSER = `
import { BatchPlease, BatchServing, BatchServer, FlushError, type BatchPleaseOptions } from 'batch-please';
import { MemoryBatcher } from 'batch-please/collectors/memory';
import { batched, toWritableStream } from 'batch-please/streams';
import { TestClock } from 'batch-please/testing';

class Summer extends BatchPlease<number, { sum: number }> {
  override batchInit() { return { sum: 0 }; }
  override batchAddItem(batch: { sum: number }, item: number) { batch.sum += item; }
  override batchFlush(batch: { sum: number }) { console.log(batch.sum); }
}
const options: BatchPleaseOptions<number, { sum: number }> = { maxBatchSize: 3, clock: new TestClock() };
export async function main(): Promise<void> {
  const summer = new Summer(options);
  summer.addItem(1);
  const batcher = new MemoryBatcher({ batchFlush: ({ items }: { items: string[] }) => console.log(items.length) });
  batcher.addItem('a');
  for await (const list of batched(new Set([1]), { maxBatchSize: 2 })) { const sum: number = list.length; console.log(sum); }
  const stream: WritableStream<string> = toWritableStream(batcher);
  const serving = new BatchServing({ handleBatch: (values: readonly number[]) => values.map(String) });
  const answer: string = await serving.dispatch(1);
  for await (const event of serving.stream([1])) if (event.type === 'batch') { const texts: readonly string[] = event.output; console.log(texts); }
  const error: unknown = answer;
  if (error instanceof FlushError) console.log(error.code, stream);
  await summer.close();
}
export class Log extends BatchServer<never, never, string, string> {
  override init() {}
  override handleBatch() {}
}
`;
const NODE = `
import type { Writable } from 'node:stream';
import { FileBatcher, flushOnExit } from 'batch-please/collectors';
import { instrument } from 'batch-please/opentelemetry';
import { toWritable } from 'batch-please/streams';
export const files = new FileBatcher<{ a: number }>({ batchDirectory: 'x', batchFlush: (batch) => console.log(batch.size) });
export const writable: Writable = toWritable(files);
export const undo: (() => void)[] = [instrument(files, { name: 'x' }), flushOnExit([files])];
`;

const resolutions = [
  { resolution: 'node10', module: 'commonjs', extensions: ['ts'] },
  { resolution: 'node16', module: 'node16', extensions: ['mts', 'cts'] },
  { resolution: 'bundler', module: 'esnext', extensions: ['ts'] },
];

const cases = compilers.flatMap((compiler) =>
  resolutions
    // TypeScript 6 asks for a flag that says it is deprecated; 7 has removed it.
    .filter(({ resolution }) => !(resolution === 'node10' && compiler === 'ts7'))
    .flatMap((one) => [
      { ...one, compiler, where: 'browser', lib: ['es2022', 'dom'], types: [] as string[], source: BROWSER },
      { ...one, compiler, where: 'Node', lib: ['es2022'], types: ['node'], source: NODE },
    ]),
);

test.each(cases)('$compiler, $resolution, $where', async (one) => {
  const name = `${one.compiler}-${one.resolution}-${one.where}`;
  const files = one.extensions.map((extension) => `src/${name}.${extension}`);
  for (const file of files) writeFileSync(join(folder, file), one.source);
  const compilerOptions = {
    target: 'es2022',
    module: one.module,
    moduleResolution: one.resolution,
    lib: one.lib,
    types: one.types,
    strict: true,
    noImplicitOverride: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    skipLibCheck: false,
    noEmit: true,
    ...(one.compiler === 'ts6' && one.resolution === 'node10' && { ignoreDeprecations: '6.0' }),
  };
  const config = `${name}.json`;
  writeFileSync(join(folder, config), JSON.stringify({ compilerOptions, files }));
  const { code, stdout } = await run(process.execPath, [join(tools, one.compiler, 'bin', 'tsc'), '-p', config], folder);
  // What other packages get wrong is not ours.
  const ours = stdout
    .split('\n')
    .filter((line) => /error TS/.test(line) && !/node_modules\/(@types|@opentelemetry|undici-types)/.test(line));
  expect(ours).toEqual([]);
  if (code !== 0) expect(stdout).toMatch(/node_modules\/(@types|@opentelemetry|undici-types)/);
});
